import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isCodedError } from '#kernel';
import { readTar, writeTar, type TarEntryInput } from '../../tar/index.js';
import { CopyPlan, type CopyRequest } from './copy-plan.js';
import { SourcePaths } from './source-paths.js';
import { SpooledArchive } from './spooled-archive.js';

const LIMITS = { maxEntries: 1000, maxBytes: 1_000_000 };
const META = { uid: 0, gid: 0, mtimeNs: 5n };
const file = (path: string, text: string, more: Partial<TarEntryInput> = {}): TarEntryInput => ({ path, type: 'file', mode: 0o644, ...META, size: Buffer.byteLength(text), content: [Buffer.from(text)], ...more });
const folder = (path: string): TarEntryInput => ({ path, type: 'directory', mode: 0o750, ...META });
const link = (path: string, linkname: string): TarEntryInput => ({ path, type: 'symlink', mode: 0o777, ...META, linkname });

describe('a spooled archive', () => {
  let root: string;
  let count = 0;
  const open: SpooledArchive[] = [];
  beforeAll(async () => {
    root = await mkdtemp(join(tmpdir(), 'spool-'));
  });
  afterAll(async () => {
    for (const archive of open) await archive.remove();
    await rm(root, { recursive: true });
  });
  const spool = async (entries: TarEntryInput[], limits = LIMITS): Promise<SpooledArchive> => {
    const archive = await SpooledArchive.of(join(root, String((count += 1))), writeTar(entries), limits);
    open.push(archive);
    return archive;
  };
  const plan = async (entries: TarEntryInput[], request: Partial<CopyRequest>): Promise<CopyPlan> => {
    const archive = await spool(entries);
    return new CopyPlan(archive, new SourcePaths(archive), { sources: ['.'], destination: '/d', intoDirectory: false, owner: undefined, mode: undefined, parents: false, exclude: [], missing: [], ...request });
  };
  const layerOf = async (copy: CopyPlan): Promise<Record<string, string>> => {
    const result: Record<string, string> = {};
    for await (const entry of readTar(copy.layer())) {
      const parts: Buffer[] = [];
      for await (const chunk of entry.content) parts.push(Buffer.from(chunk));
      result[entry.path] = `${entry.type} ${entry.mode.toString(8)} ${entry.uid}:${entry.gid} ${entry.linkname}${Buffer.concat(parts).toString()}`;
    }
    return result;
  };
  const TREE = [folder('a'), file('a/one', '1'), file('a/two.md', '2'), folder('a/deep'), file('a/deep/three', '3', { mode: 0o755, uid: 7, gid: 8 }), file('top', 't'), link('to-a', './a'), link('a/out', '../../../etc'), file('implied/x', 'x')];

  it('gives the bytes of each file back', async () => {
    const archive = await spool(TREE);
    expect((await archive.read('a/deep/three', 10)).toString()).toBe('3');
    expect((await archive.read('top', 10)).toString()).toBe('t');
    await expect(archive.read('nowhere', 10)).rejects.toMatchObject({ code: 'not_found' });
    await expect(archive.read('top', 0)).rejects.toMatchObject({ code: 'payload_too_large' });
  });

  it.each<[string, Partial<CopyRequest>, Record<string, string>]>([
    ['a file to a name', { sources: ['top'], destination: '/d/x' }, { 'd/x': 'file 644 0:0 t' }],
    ['a file into a directory', { sources: ['top'], intoDirectory: true }, { 'd/top': 'file 644 0:0 t' }],
    ['what a directory holds', { sources: ['a/deep'] }, { 'd/': 'directory 755 0:0 ', 'd/three': 'file 755 7:8 3' }],
    ['a directory that is only implied', { sources: ['implied/'], destination: '/' }, { x: 'file 644 0:0 x' }],
    ['through a link, by its own name', { sources: ['to-a/deep/three'], intoDirectory: true }, { 'd/three': 'file 755 7:8 3' }],
    ['what a link names', { sources: ['to-a'], exclude: ['deep', 'out', 'one'] }, { 'd/': 'directory 755 0:0 ', 'd/two.md': 'file 644 0:0 2' }],
    ['by a pattern', { sources: ['a/*.md', 't?p'], intoDirectory: true }, { 'd/two.md': 'file 644 0:0 2', 'd/top': 'file 644 0:0 t' }],
    ['with an owner and a mode', { sources: ['a/deep'], owner: { uid: 1, gid: 2 }, mode: 0o600 }, { 'd/': 'directory 755 1:2 ', 'd/three': 'file 600 1:2 3' }],
    ['with its parents', { sources: ['a/deep/three'], parents: true, intoDirectory: true }, { 'd/a/deep/three': 'file 755 7:8 3' }],
    ['into directories that are new too', { sources: ['top'], destination: '/new/d/', intoDirectory: true, owner: { uid: 1, gid: 2 }, missing: ['/new', '/new/d'] }, { 'new/': 'directory 755 1:2 ', 'new/d/': 'directory 755 1:2 ', 'new/d/top': 'file 644 1:2 t' }],
    ['links as links', { sources: ['a'], exclude: ['deep', 'one', 'two.md'] }, { 'd/': 'directory 755 0:0 ', 'd/out': 'symlink 777 0:0 ../../../etc' }],
    ['a path that pretends to lead out', { sources: ['../../top'] }, { d: 'file 644 0:0 t' }],
  ])('copies %s', async (_what, request, expected) => {
    expect(await layerOf(await plan(TREE, request))).toEqual(expected);
  });

  it('follows links inside only', async () => {
    await expect(plan([link('x', '/etc/passwd'), file('top', 't')], { sources: ['x'] })).rejects.toMatchObject({ code: 'not_found' });
    await expect(plan([link('x', 'y'), link('y', 'x')], { sources: ['x'] })).rejects.toMatchObject({ code: 'invalid_argument' });
    expect(await layerOf(await plan([link('x', '../../../etc/f'), folder('etc'), file('etc/f', 'mine')], { sources: ['x'] }))).toEqual({ d: 'file 644 0:0 mine' });
  });

  it('has a key of everything but times', async () => {
    const key = async (entries: TarEntryInput[], request: Partial<CopyRequest> = {}): Promise<string> => (await plan(entries, request)).key;
    const before = await key([file('x', '1')]);
    expect(await key([file('x', '1', { mtimeNs: 99n })])).toBe(before);
    for (const other of [file('x', '2'), file('y', '1'), file('x', '1', { mode: 0o600 }), file('x', '1', { uid: 1 }), file('x', '1', { xattrs: new Map([['user.a', Buffer.from('b')]]) })]) expect(await key([other])).not.toBe(before);
    expect(await key([file('x', '1')], { owner: { uid: 3, gid: 3 } })).not.toBe(before);
    // What is not copied does not count.
    expect(await key([file('x', '1'), file('z', 'z')], { sources: ['x'] })).toBe(await key([file('x', '1')], { sources: ['x'] }));
  });

  it.each<[string, TarEntryInput[], typeof LIMITS, string]>([
    ['a path that leaves it', [file('../x', '1')], LIMITS, 'invalid_argument'],
    ['a hard link to nothing', [{ path: 'x', type: 'hardlink', mode: 0, ...META, linkname: 'y' }], LIMITS, 'invalid_argument'],
    ['a file that is a directory too', [folder('x'), file('x', '1')], LIMITS, 'invalid_argument'],
    ['too many bytes', [file('x', '12345')], { ...LIMITS, maxBytes: 4 }, 'resource_exhausted'],
    ['too many entries', [file('x', '1'), file('y', '1')], { ...LIMITS, maxEntries: 1 }, 'invalid_argument'],
  ])('refuses %s', async (_what, entries, limits, code) => {
    const failure = await spool(entries, limits).then(() => undefined, (error: unknown) => error);
    expect(isCodedError(failure) && failure.code).toBe(code);
  });
});
