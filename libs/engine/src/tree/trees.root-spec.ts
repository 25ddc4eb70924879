import { execFileSync } from 'node:child_process';
import { chmodSync, chownSync, lstatSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { digestOf, silentLogger } from '#kernel';
import { writeTar, type TarEntryInput } from '../tar/index.js';
import { fileEntry, gather, inChunks, readAll, writeAll } from '../tar/testing/archives.js';
import { HelperTrees } from './index.js';
import { realTrees } from './testing/trees.js';

const trees = realTrees();
const BASE = { mode: 0o755, uid: 0, gid: 0, mtimeNs: 1_700_000_000_123_456_789n } as const;
const CAP_NET_RAW = Buffer.from('0100000200200000000000000000000000000000', 'hex');
const LATIN1 = `caf${String.fromCharCode(0xdce9)}`;

/** Every kind of entry, in the order in which `pack` gives them. */
function everything(): TarEntryInput[] {
  const directory = (path: string, more: Partial<TarEntryInput> = {}): TarEntryInput => ({ ...BASE, type: 'directory', path, ...more });
  const file = (path: string, bytes: string | Buffer, more: Partial<TarEntryInput> = {}): TarEntryInput => fileEntry(path, bytes, { ...BASE, mode: 0o644, ...more });
  const sparse = Buffer.alloc(3_000_000);
  sparse.write('in the middle', 1_500_000);
  return [
    directory('./', { mode: 0o711 }),
    file('a-empty', ''),
    file('b-large', Buffer.alloc(700_001, 'b')),
    file('c-capable', 'x', { mode: 0o755, xattrs: new Map([['security.capability', CAP_NET_RAW], ['user.note', Buffer.from([0, 255, 10])]]) }),
    { ...BASE, type: 'hardlink', path: 'd-hard', linkname: 'c-capable', mode: 0o755 },
    file('e-setuid', 'x', { mode: 0o6755, uid: 1234, gid: 65_534 }),
    { ...BASE, type: 'fifo', path: 'f-fifo', mode: 0o640, uid: 7 },
    { ...BASE, type: 'char', path: 'g-null', mode: 0o666, devmajor: 1, devminor: 3 },
    { ...BASE, type: 'block', path: 'h-disk', mode: 0o660, gid: 6, devmajor: 8, devminor: 17 },
    { ...BASE, type: 'symlink', path: 'i-absolute', mode: 0o777, linkname: '/etc/passwd', uid: 42, gid: 43 },
    { ...BASE, type: 'symlink', path: 'j-dangling', mode: 0o777, linkname: 'no/where\nat all' },
    file('k-sparse', sparse),
    file('l-old', 'x', { mtimeNs: -1_500_000_000n }),
    directory('m-sticky', { mode: 0o1777, mtimeNs: 5n, xattrs: new Map([['trusted.note', Buffer.from('t')]]) }),
    file('m-sticky/inner', 'x', { uid: 65_534, gid: 65_534 }),
    directory('n-locked', { mode: 0o500 }),
    directory('n-locked/deep', { mode: 0o2755 }),
    file(`n-locked/deep/${'ü'.repeat(127)}`, 'long'),
    file('new\nline', 'x'),
    file(LATIN1 + '-bytes', 'x'),
    file('{é}', 'x'),
  ].sort((a, b) => (a.path === './' ? -1 : b.path === './' ? 1 : 0)) as TarEntryInput[];
}

/** Without what only says how the archive spells it; bytes by their digest. */
const told = async (tar: Buffer) => (await readAll(tar)).map(({ uname, gname, sparse, bytes, ...rest }) => ({ ...rest, digest: digestOf(bytes), spelled: [uname, gname, sparse] }));

describe('trees', () => {
  let folder: string;
  let count = 0;
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'trees-'));
  });
  afterAll(() => {
    rmSync(folder, { recursive: true, force: true });
  });
  const newDir = (): string => {
    const dir = join(folder, `t${(count += 1)}`);
    mkdirSync(dir);
    return dir;
  };
  const extract = async (root: string, entries: readonly TarEntryInput[], as: 'files' | 'layer' = 'files', lowerDirs: readonly string[] = []) =>
    trees.extract({ root, tar: inChunks(await writeAll(entries), 65_536, 1000, 7), as, lowerDirs });
  const layer = async (lowerDirs: readonly string[], ...entries: TarEntryInput[]): Promise<string> => {
    const dir = newDir();
    await extract(dir, entries, 'layer', lowerDirs);
    return dir;
  };
  const dirEntry = (path: string, more: Partial<TarEntryInput> = {}): TarEntryInput => ({ ...BASE, type: 'directory', path, ...more });
  const whiteout = (path: string): TarEntryInput => fileEntry(path);
  const listing = async (lowerDirs: readonly string[]): Promise<string[]> => (await readAll(trees.pack({ source: { kind: 'overlay', lowerDirs }, as: 'files' }))).map(({ path }) => path);

  it.each(['files', 'layer'] as const)('packs what it extracted, every kind of entry, as %s', async (as) => {
    const root = newDir();
    const wanted = await writeAll(everything());
    const { bytes } = await extract(root, everything(), as);
    expect(bytes).toBe(everything().reduce((sum, { size = 0 }) => sum + size, 0));
    const packed = await gather(trees.pack({ source: { kind: 'directory', path: root }, as }));
    const byPath = (list: Awaited<ReturnType<typeof told>>) => [...list].sort((a, b) => (a.path < b.path ? -1 : 1));
    expect(byPath(await told(packed))).toEqual(byPath(await told(wanted)));
    const second = newDir();
    await trees.extract({ root: second, tar: inChunks(packed), as });
    expect(digestOf(await gather(trees.pack({ source: { kind: 'directory', path: second }, as })))).toBe(digestOf(packed));
  });

  it('keeps holes', async () => {
    const root = newDir();
    const sparse = join(root, 'sparse');
    execFileSync('truncate', ['-s', '64M', sparse]);
    const copy = newDir();
    await trees.extract({ root: copy, tar: trees.pack({ source: { kind: 'directory', path: root }, as: 'files' }), as: 'files' });
    expect(lstatSync(join(copy, 'sparse')).size).toBe(64 * 1024 * 1024);
    const tar = execFileSync('tar', ['-C', root, '--sparse', '--format=gnu', '-cf', '-', 'sparse']);
    const other = newDir();
    await trees.extract({ root: other, tar: inChunks(tar), as: 'layer' });
    expect(lstatSync(join(other, 'sparse')).blocks).toBe(0);
  });

  it('shows whiteouts and opaque marks through a real overlay', async () => {
    const low = await layer([], dirEntry('d'), fileEntry('d/a'), fileEntry('d/b'), dirEntry('e'), fileEntry('e/x'), fileEntry('f'), dirEntry('g'), fileEntry('g/1'));
    const mid = await layer([low], whiteout('d/.wh.a'), whiteout('.wh.f'), fileEntry('e/new'), whiteout('e/.wh..wh..opq'), whiteout('.wh..wh.plnk'), whiteout('.wh.g'));
    const top = await layer([mid, low], fileEntry('d/c'), fileEntry('f', 'back'), dirEntry('g'), fileEntry('g/2'));
    expect(await listing([mid, low])).toEqual(['./', 'd/', 'd/b', 'e/', 'e/new']);
    expect(await listing([top, mid, low])).toEqual(['./', 'd/', 'd/b', 'd/c', 'e/', 'e/new', 'f', 'g/', 'g/2']);
    const again = (await readAll(trees.pack({ source: { kind: 'overlay', upperDir: mid, lowerDirs: [low] }, as: 'layer' }))).map(({ path }) => path);
    expect(again).toEqual(['./', 'd/', 'd/.wh.a', 'e/', 'e/.wh..wh..opq', 'e/new', '.wh.f', '.wh.g']);
  });

  it('lets a whiteout hide what is below, never its own layer, in either order', async () => {
    const low = await layer([], dirEntry('d'), fileEntry('d/old'), fileEntry('f', 'old'));
    for (const entries of [
      [whiteout('.wh.d'), dirEntry('d'), fileEntry('d/new'), whiteout('.wh.f'), fileEntry('f', 'new')],
      [dirEntry('d'), fileEntry('d/new'), whiteout('.wh.d'), fileEntry('f', 'new'), whiteout('.wh.f')],
      [whiteout('.wh.d'), fileEntry('d/new'), fileEntry('f', 'new')],
    ]) {
      const top = await layer([low], ...entries);
      expect(await listing([top, low])).toEqual(['./', 'd/', 'd/new', 'f']);
      expect(readFileSync(join(top, 'f'), 'utf8')).toBe('new');
    }
  });

  it('hides everything below an opaque root', async () => {
    const low = await layer([], dirEntry('d'), fileEntry('d/old'), fileEntry('f'), dirEntry('e'));
    const top = await layer([low], fileEntry('d/new'), whiteout('.wh..wh..opq'));
    expect(await listing([top, low])).toEqual(['./', 'd/', 'd/new']);
  });

  it('gives parents that the archive does not name what the stack has', async () => {
    const note = new Map([['user.note', Buffer.from('kept')]]);
    const low = await layer([], dirEntry('./', { mode: 0o711, uid: 5 }), dirEntry('d', { mode: 0o1770, uid: 11, gid: 12, xattrs: note }), dirEntry('gone'), dirEntry('gone/d', { mode: 0o700 }), dirEntry('o'), dirEntry('o/d', { mode: 0o700 }));
    const mid = await layer([low], whiteout('.wh.gone'), dirEntry('o'), whiteout('o/.wh..wh..opq'));
    const top = await layer([mid, low], fileEntry('d/x'), fileEntry('gone/d/x'), fileEntry('o/d/x'));
    const entries = await readAll(trees.pack({ source: { kind: 'directory', path: top }, as: 'files' }));
    const byPath = new Map(entries.map((entry) => [entry.path, entry]));
    expect(byPath.get('./')).toMatchObject({ mode: 0o711, uid: 5, mtimeNs: BASE.mtimeNs });
    expect(byPath.get('d/')).toMatchObject({ mode: 0o1770, uid: 11, gid: 12, mtimeNs: BASE.mtimeNs, xattrs: note });
    expect(byPath.get('o/d/')).toMatchObject({ mode: 0o755, mtimeNs: 0n });
    expect(byPath.get('gone/d/')).toMatchObject({ mode: 0o755, uid: 0, mtimeNs: 0n });
  });

  it('resolves a linked parent inside the stack', async () => {
    const low = await layer([], dirEntry('usr'), dirEntry('usr/lib', { uid: 9 }), { ...BASE, type: 'symlink', path: 'lib', linkname: 'usr/lib' }, { ...BASE, type: 'symlink', path: 'abs', linkname: '/../../usr/lib' });
    const top = await layer([low], fileEntry('lib/one'), fileEntry('abs/two'), fileEntry('lib/../three'));
    expect(readdirSync(top).sort()).toEqual(['three', 'usr']);
    expect(readdirSync(join(top, 'usr/lib')).sort()).toEqual(['one', 'two']);
    expect(lstatSync(join(top, 'usr/lib')).uid).toBe(9);
    const own = await layer([low], { ...BASE, type: 'symlink', path: 'own', linkname: 'lib' }, fileEntry('own/four'));
    expect(readdirSync(join(own, 'usr/lib'))).toEqual(['four']);
  });

  it('copies a hard link’s target up from a lower layer', async () => {
    const low = await layer([], dirEntry('d', { uid: 3 }), fileEntry('d/file', 'below', { ...BASE, mode: 0o4755, uid: 1, xattrs: new Map([['user.note', Buffer.from('kept')]]) }));
    const top = await layer([low], { ...BASE, type: 'hardlink', path: 'link', linkname: '/d/file' });
    const [one, other] = [lstatSync(join(top, 'd/file')), lstatSync(join(top, 'link'))];
    expect([one.ino, one.nlink, one.uid, (one.mode & 0o7777).toString(8)]).toEqual([other.ino, 2, 1, '4755']);
    expect(readFileSync(join(top, 'link'), 'utf8')).toBe('below');
    expect(lstatSync(join(top, 'd')).uid).toBe(3);
    // What is copied takes room, which is counted.
    expect(await extract(newDir(), [{ ...BASE, type: 'hardlink', path: 'link', linkname: '/d/file' }, fileEntry('own', 'x')], 'layer', [low])).toEqual({ bytes: 'below'.length + 1 });
    await expect(layer([low], { ...BASE, type: 'hardlink', path: 'link', linkname: 'd/none' })).rejects.toMatchObject({ code: 'invalid_argument', details: { path: 'link', errno: 'ENOENT' } });
  });

  it.each([
    ['a file by a directory', [fileEntry('x', '1'), dirEntry('x'), fileEntry('x/y', '2')], ['./', 'x/', 'x/y']],
    ['a full directory by a file', [dirEntry('x'), dirEntry('x/y'), fileEntry('x/y/z'), fileEntry('x', '1')], ['./', 'x']],
    ['a link by a directory', [dirEntry('a'), { ...BASE, type: 'symlink', path: 'x', linkname: 'a' }, dirEntry('x'), fileEntry('x/y')], ['./', 'a/', 'x/', 'x/y']],
    ['nothing where both are directories', [dirEntry('x'), fileEntry('x/y'), dirEntry('x', { mode: 0o700 })], ['./', 'x/', 'x/y']],
    ['leading slashes and dots', [fileEntry('/./a//b'), { ...BASE, type: 'hardlink', path: '/c', linkname: '/a/b' }, fileEntry('a/../d')], ['./', 'a/', 'a/b', 'c', 'd']],
  ] as [string, TarEntryInput[], string[]][])('replaces %s', async (_what, entries, wanted) => {
    const tar = await writeAll(entries);
    for (const as of ['files', 'layer'] as const) {
      const root = newDir();
      await trees.extract({ root, tar: inChunks(tar), as });
      expect((await readAll(trees.pack({ source: { kind: 'directory', path: root }, as: 'files' }))).map(({ path }) => path)).toEqual(wanted);
    }
  });

  it('copies no more up than a bound, however often the archive says so', async () => {
    const low = newDir();
    mkdirSync(join(low, 'd'));
    execFileSync('truncate', ['-s', '1G', join(low, 'd/holes')]);
    const again = (): TarEntryInput[] => [{ ...BASE, type: 'hardlink', path: 'd/link', linkname: 'd/holes' }, fileEntry('d', 'in the way'), dirEntry('d')];
    await expect(layer([low], ...Array.from({ length: 5 }, again).flat())).rejects.toMatchObject({ code: 'invalid_argument', details: { errno: 'E2BIG', path: 'd/link' } });
  });

  it('takes a layer without closing blocks or the last padding, or without anything at all, as Docker does', async () => {
    const tar = (await writeAll([fileEntry('a', 'x')])).subarray(0, 1024);
    for (const bytes of [tar, tar.subarray(0, 700), Buffer.concat([tar, Buffer.alloc(512)]), Buffer.alloc(0)]) {
      await trees.extract({ root: newDir(), tar: inChunks(bytes), as: 'layer' });
    }
    for (const bytes of [tar.subarray(0, 512), tar.subarray(0, 300)]) {
      await expect(trees.extract({ root: newDir(), tar: inChunks(bytes), as: 'layer' })).rejects.toMatchObject({ code: 'invalid_argument' });
    }
  });

  it('breaks a hard link when a later entry replaces one of its names', async () => {
    const root = newDir();
    await extract(root, [fileEntry('a', 'old'), { ...BASE, type: 'hardlink', path: 'b', linkname: 'a' }, fileEntry('a', 'new')]);
    expect([readFileSync(join(root, 'a'), 'utf8'), readFileSync(join(root, 'b'), 'utf8')]).toEqual(['new', 'old']);
  });

  it('extracts into a directory of the tree and packs one', async () => {
    const root = newDir();
    mkdirSync(join(root, 'real'));
    symlinkSync('/real', join(root, 'link'));
    await trees.extract({ root, tar: inChunks(await writeAll([dirEntry('./', { mode: 0o700 }), fileEntry('x/y', '1'), { ...BASE, type: 'hardlink', path: 'z', linkname: 'x/y' }])), as: 'files', into: '/link' });
    const source = { kind: 'directory', path: root } as const;
    expect((await readAll(trees.pack({ source, as: 'files', path: '/link' }))).map(({ path }) => path)).toEqual(['./', 'x/', 'x/y', 'z']);
    expect((await readAll(trees.pack({ source, as: 'files', path: 'real/x/y' }))).map(({ path }) => path)).toEqual(['y']);
    await expect(gather(trees.pack({ source, as: 'files', path: 'none' }))).rejects.toMatchObject({ code: 'not_found' });
    await expect(trees.extract({ root, tar: inChunks(await writeAll([])), as: 'files', into: 'none' })).rejects.toMatchObject({ code: 'not_found' });
    await expect(trees.extract({ root: join(root, 'none'), tar: inChunks(await writeAll([])), as: 'files' })).rejects.toMatchObject({ code: 'not_found' });
  });

  it('tells the changes of a writable layer', async () => {
    const low = await layer([], dirEntry('d'), fileEntry('d/same'), fileEntry('d/edit'), fileEntry('d/gone'), dirEntry('e'), fileEntry('e/1'), fileEntry('e/2'), dirEntry('t'));
    const upper = await layer([low], fileEntry('d/edit', 'more'), fileEntry('d/same'), whiteout('d/.wh.gone'), fileEntry('e/2', 'x'), whiteout('e/.wh..wh..opq'), dirEntry('n'), fileEntry('n/x'), dirEntry('t'), whiteout('.wh.never'));
    const changes = await trees.changes({ kind: 'overlay', lowerDirs: [low], upperDir: upper });
    expect(changes.map(({ kind, path }) => `${kind[0]} ${path}`)).toEqual(['m /d', 'm /d/edit', 'd /d/gone', 'm /e', 'd /e/1', 'm /e/2', 'a /n', 'a /n/x']);
  });

  it('copies a subtree up into an empty directory only', async () => {
    const low = await layer([], dirEntry('data', { mode: 0o750, uid: 8 }), fileEntry('data/a', '1'), fileEntry('file'));
    const source = { kind: 'overlay', lowerDirs: [low] } as const;
    const target = newDir();
    expect(await trees.copyUp(source, '/none', target)).toBe(false);
    expect(await trees.copyUp(source, '/file', target)).toBe(false);
    expect(readdirSync(target)).toEqual([]);
    expect(await trees.copyUp(source, '/data', target)).toBe(true);
    expect(readFileSync(join(target, 'a'), 'utf8')).toBe('1');
    expect([lstatSync(target).uid, lstatSync(target).mode & 0o7777]).toEqual([8, 0o750]);
    writeFileSync(join(target, 'a'), 'changed');
    expect(await trees.copyUp(source, '/data', target)).toBe(false);
    expect(readFileSync(join(target, 'a'), 'utf8')).toBe('changed');
  });

  it('measures, syncs and removes', async () => {
    const root = newDir();
    await extract(root, [dirEntry('d'), fileEntry('d/a', Buffer.alloc(100_000)), { ...BASE, type: 'hardlink', path: 'b', linkname: 'd/a' }]);
    const du = execFileSync('du', ['-s', '--block-size=1', root], { encoding: 'utf8' });
    expect(await trees.usage(root)).toEqual({ bytes: Number(du.split('\t')[0]), inodes: 3 });
    await trees.sync(root);
    chmodSync(join(root, 'd'), 0);
    chownSync(join(root, 'd'), 5, 5);
    await trees.remove(root);
    await trees.remove(root);
    expect(readdirSync(folder)).not.toContain(root.slice(folder.length + 1));
  });

  it('removes a tree deeper than any path', async () => {
    const root = newDir();
    execFileSync('sh', ['-c', 'p=$(printf "d/%.0s" $(seq 1000)); for n in 1 2 3; do mkdir -p $p; cd -P $p; done; : > leaf'], { cwd: root });
    await expect(trees.usage(root)).resolves.toMatchObject({ inodes: 801 });
    await expect(gather(trees.pack({ source: { kind: 'directory', path: root }, as: 'files' }))).rejects.toMatchObject({ code: 'invalid_argument' });
    await trees.remove(root);
    expect(() => lstatSync(root)).toThrow('ENOENT');
  });

  it('mounts a stack of 127 layers', async () => {
    const layers: string[] = [];
    for (let n = 0; n < 127; n += 1) {
      const dir = newDir();
      writeFileSync(join(dir, `f${n}`), '');
      layers.unshift(dir);
    }
    expect(await listing(layers)).toHaveLength(128);
    expect(await listing([])).toEqual(['./']);
  });

  it('says that the disk is full', async () => {
    const root = newDir();
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=64k', 'tmpfs', root]);
    try {
      await expect(extract(root, [fileEntry('big', Buffer.alloc(1_000_000))])).rejects.toMatchObject({ code: 'resource_exhausted' });
    } finally {
      execFileSync('umount', [root]);
    }
    await expect(trees.extract({ root, tar: inChunks(await writeAll([fileEntry('big', Buffer.alloc(1001))])), as: 'files', maxBytes: 1000 })).rejects.toMatchObject({ code: 'resource_exhausted' });
  });

  it('says that the helper cannot be started, or ended in the middle', async () => {
    const root = newDir();
    const absent = new HelperTrees({ program: join(folder, 'none'), logger: silentLogger });
    await expect(absent.usage(root)).rejects.toMatchObject({ code: 'internal' });
    await expect(absent.extract({ root, tar: inChunks(await writeAll([fileEntry('big', Buffer.alloc(1_000_000))])), as: 'files' })).rejects.toMatchObject({ code: 'internal' });
    const mute = new HelperTrees({ program: '/bin/true', logger: silentLogger });
    await expect(mute.remove(root)).rejects.toMatchObject({ code: 'unavailable' });
    await expect(gather(mute.pack({ source: { kind: 'directory', path: root }, as: 'files' }))).rejects.toMatchObject({ code: 'unavailable' });
  });

  it('hears a result that came long before it asked', async () => {
    async function* slow(): AsyncGenerator<Buffer, void, void> {
      await new Promise((resolve) => setTimeout(resolve, 200));
      yield* inChunks(await writeAll([fileEntry('a')]));
    }
    await expect(trees.extract({ root: join(folder, 'none'), tar: slow(), as: 'files' })).rejects.toMatchObject({ code: 'not_found' });
  });

  it('remembers the times of directories up to a bound', async () => {
    const deep = Array.from({ length: 16 }, () => 'd'.repeat(250)).join('/');
    const many = function* (): Generator<TarEntryInput, void, void> {
      // Above 128 MiB of paths; the bound of 500,000 directories is the same guard's.
      for (let n = 0; n < 34_000; n += 1) yield dirEntry(deep);
    };
    await expect(trees.extract({ root: newDir(), tar: writeTar(many()), as: 'files' })).rejects.toMatchObject({ code: 'invalid_argument', details: { errno: 'E2BIG' } });
  });

  it('passes on what the source throws, and ends the helper when a pack is left early', async () => {
    const tar = await writeAll([fileEntry('a', Buffer.alloc(500_000))]);
    async function* failing(): AsyncGenerator<Buffer, void, void> {
      yield* inChunks(tar.subarray(0, 200_000));
      throw new Error('the line went dead');
    }
    const root = newDir();
    await expect(trees.extract({ root, tar: failing(), as: 'files' })).rejects.toThrow('the line went dead');
    await expect(extract(root, [fileEntry('a')]).then(() => trees.extract({ root, tar: inChunks(tar.subarray(0, 300_000)), as: 'files' }))).rejects.toMatchObject({ code: 'invalid_argument' });
    for await (const chunk of trees.pack({ source: { kind: 'directory', path: '/usr/share' }, as: 'files' })) {
      expect(chunk.length).toBeGreaterThan(0);
      break;
    }
    expect(execFileSync('ps', ['--ppid', String(process.pid), '-o', 'comm='], { encoding: 'utf8' })).not.toContain('sandbar-tree');
  });
});
