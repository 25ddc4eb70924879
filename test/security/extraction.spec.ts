import { execFileSync } from 'node:child_process';
import { chmodSync, linkSync, lstatSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, readlinkSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { Worker } from 'node:worker_threads';
import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { CodedError, isCodedError } from '#kernel';
import { writeTar, type HelperTrees, type TarEntryInput } from '#engine';
import { realTrees } from '../../libs/engine/src/tree/testing/trees.js';

/** Archives and trees that reach for the host. Outside of each tree lies a canary: nothing may read, change, replace or name it. */

const SECRET = 'the host’s secret';
const MODES = ['files', 'layer'] as const;
const trees: HelperTrees = realTrees();
let folder: string;
let outside: string;
let root: string;
let before: string;

type Bare = Pick<TarEntryInput, 'path' | 'type'> & Partial<TarEntryInput> & { text?: string };
const file = (path: string, text = 'planted'): Bare => ({ path, type: 'file', text });
const directory = (path: string): Bare => ({ path, type: 'directory', mode: 0o777 });
const symlink = (path: string, linkname: string): Bare => ({ path, type: 'symlink', linkname });
const hardlink = (path: string, linkname: string): Bare => ({ path, type: 'hardlink', linkname });

async function tarOf(entries: readonly Bare[]): Promise<Buffer> {
  const chunks: Buffer[] = [];
  const inputs = entries.map(({ text, ...entry }): TarEntryInput => {
    const content = Buffer.from(text ?? '');
    return { mode: 0o644, uid: 0, gid: 0, mtimeNs: 0n, ...entry, ...(entry.type === 'file' && { size: content.length, content: [content] }) };
  });
  for await (const chunk of writeTar(inputs)) chunks.push(chunk);
  return Buffer.concat(chunks);
}

async function* once(bytes: Buffer): AsyncGenerator<Buffer, void, void> {
  await Promise.resolve();
  yield bytes;
}

async function extract(as: (typeof MODES)[number], entries: readonly Bare[], into = ''): Promise<void> {
  await trees.extract({ root, tar: once(await tarOf(entries)), as, ...(as === 'files' && { into }) });
}

async function pack(path = '', as: (typeof MODES)[number] = 'files'): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of trees.pack({ source: { kind: 'directory', path: root }, as, path })) chunks.push(chunk);
  return Buffer.concat(chunks);
}

/** The outcome of something that may be refused; any other failure fails the test. */
async function attempt(action: Promise<unknown>): Promise<string> {
  try {
    await action;
    return 'done';
  } catch (error) {
    if (isCodedError(error) && error.code !== 'internal' && error.code !== 'unavailable') return error.code;
    throw error;
  }
}

/** Names, contents, owners, modes, times and link counts of everything outside. */
function portrait(): string {
  const told = (path: string): unknown => {
    const { mode, uid, gid, nlink, size, mtimeNs, ctimeNs } = lstatSync(path, { bigint: true });
    return [path, mode, uid, gid, nlink, size, mtimeNs, ctimeNs].map(String);
  };
  return JSON.stringify([outside, ...readdirSync(outside).sort().map((name) => join(outside, name))].map(told)) + readFileSync(join(outside, 'canary'), 'utf8');
}

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'extraction-'));
  [root, outside] = [join(folder, 'root'), join(folder, 'outside')];
  mkdirSync(root);
  mkdirSync(outside);
  writeFileSync(join(outside, 'canary'), SECRET, { mode: 0o600 });
  before = portrait();
});
afterEach(() => {
  const after = portrait();
  rmSync(folder, { recursive: true, force: true });
  expect(after).toBe(before);
});

describe.each(MODES)('archives as %s', (as) => {
  it('CVE-2007-4559: a path with ".." that leaves is refused, and so is a link’s target', async () => {
    for (const entry of [file('../outside/canary'), file('a/../../outside/new'), directory('..'), symlink('../outside/link', 'x'), hardlink('x', '../outside/canary'), file('./../outside/canary')]) {
      await expect(extract(as, [entry])).rejects.toMatchObject({ code: 'invalid_argument', details: { path: expect.stringContaining(entry.path) } });
    }
  });

  it('CVE-2021-32804: an absolute path begins at the tree’s root, however many slashes it has', async () => {
    await extract(as, [directory('/'), file(join(outside, 'canary')), file(`///${outside}/new`), file(`/../..${outside}/third`)]);
    expect(readdirSync(join(root, outside)).sort()).toEqual(['canary', 'new', 'third']);
  });

  it('CVE-2014-6407: a file is not written through a link that the archive made before it', async () => {
    for (const target of [outside, `../outside`, '/proc/self/cwd/../../..', '/']) {
      const archive = [symlink('link', target), file('link/canary'), file(`link/${outside}/canary`), directory('link'), file('link/planted')];
      await attempt(extract(as, archive));
      // One at a time too: an entry that is refused ends an archive.
      for (const entry of archive) await attempt(extract('files', [entry]));
      expect(lstatSync(join(root, 'link')).isDirectory()).toBe(true);
      rmSync(root, { recursive: true });
      mkdirSync(root);
    }
  });

  it('CVE-2021-32803: a directory that was just made and then replaced by a link is not remembered as a directory', async () => {
    await extract(as, [directory(outside), directory('d'), file('d/one'), symlink('d', outside), file('d/canary'), file('d/two'), symlink('D', outside), file('D/x'), file('d//canary')]);
    expect(readlinkSync(join(root, 'd'))).toBe(outside);
    expect(readFileSync(join(root, outside, 'canary'), 'utf8')).toBe('planted');
  });

  it('CVE-2021-37701: nor is it when another link to it is what goes', async () => {
    await attempt(extract(as, [directory('real'), symlink('alias', 'real'), file('alias/one'), symlink('real', outside), file('alias/canary')]));
    expect(readdirSync(root)).toContain('real');
  });

  it('a link at the last name is replaced, never followed', async () => {
    await extract(as, [symlink('x', join(outside, 'canary')), file('x'), symlink('y', outside), directory('y'), file('y/canary')]);
    expect([lstatSync(join(root, 'x')).isFile(), lstatSync(join(root, 'y')).isDirectory()]).toEqual([true, true]);
  });

  it('CVE-2025-48387: a hard link does not reach through a link that leads out', async () => {
    for (const target of [outside, '../outside', '/']) {
      const name = target === '/' ? `out${outside}/canary` : 'out/canary';
      expect(await attempt(extract(as, [symlink('out', target), hardlink('stolen', name)]))).toBe('invalid_argument');
      expect(readdirSync(root)).not.toContain('stolen');
    }
  });

  it('CVE-2026-23745: an absolute target of a hard link is the tree’s own', async () => {
    await expect(extract(as, [hardlink('stolen', join(outside, 'canary'))])).rejects.toMatchObject({ code: 'invalid_argument' });
    await extract(as, [file(join(outside, 'canary'), 'own'), hardlink('kept', join(outside, 'canary')), file('kept', 'other')]);
    expect(readFileSync(join(root, outside, 'canary'), 'utf8')).toBe('own');
  });

  it('CVE-2026-24842: a hard link to a link is a name of the link, not of what it leads to', async () => {
    await extract(as, [symlink('link', join(outside, 'canary')), hardlink('twin', 'link')]);
    expect(lstatSync(join(root, 'twin')).isSymbolicLink()).toBe(true);
    await extract(as, [{ ...file('twin', 'x'), mode: 0o777 }]);
    expect(readlinkSync(join(root, 'link'))).toBe(join(outside, 'canary'));
  });

  it('CVE-2021-41089: owner, mode and times go to the tree’s own file where a link stood', async () => {
    symlinkSync(join(outside, 'canary'), join(root, 'config'));
    symlinkSync(outside, join(root, 'etc'));
    await attempt(extract(as, [{ ...file('config'), mode: 0o777, uid: 1000 }, { ...directory('etc'), mode: 0o777, uid: 1000, mtimeNs: 1n }]));
    expect(lstatSync(join(root, 'config')).uid).toBe(1000);
    expect(lstatSync(join(root, 'etc')).isDirectory()).toBe(true);
  });

  it('CVE-2014-9356: links that lead out, absolute or not, are kept as they are and mean nothing outside', async () => {
    await extract(as, [symlink('absolute', join(outside, 'canary')), symlink('relative', '../outside/canary')]);
    expect([readlinkSync(join(root, 'absolute')), readlinkSync(join(root, 'relative'))]).toEqual([join(outside, 'canary'), '../outside/canary']);
    expect((await pack()).includes(SECRET)).toBe(false);
  });

  it('CVE-2014-9357, CVE-2026-41567: no program of the tree unpacks anything', async () => {
    mkdirSync(join(root, 'usr/bin'), { recursive: true });
    for (const name of ['xz', 'unpigz', 'gzip', 'tar']) writeFileSync(join(root, 'usr/bin', name), `#!/bin/sh\ntouch ${outside}/owned\n`, { mode: 0o755 });
    const packed = gzipSync(await tarOf([file('x')]));
    await expect(trees.extract({ root, tar: once(packed), as })).rejects.toMatchObject({ code: 'invalid_argument' });
  });

  it('overlayfs’ own marks are no part of an archive', async () => {
    await expect(extract(as, [{ path: 'gone', type: 'char', devmajor: 0, devminor: 0 }])).rejects.toMatchObject({ code: 'invalid_argument' });
    const xattrs = new Map(['trusted.overlay.redirect', 'trusted.overlay.opaque', 'trusted.overlay.metacopy', 'user.overlay.redirect'].map((name) => [name, Buffer.from('/outside')]));
    await extract(as, [{ ...directory('d'), xattrs }, { ...file('f'), xattrs }]);
    expect(execFileSync('tar', ['-C', root, '--xattrs', '--xattrs-include=*', '-cf', '-', '.'], { encoding: 'latin1' })).not.toContain('overlay');
  });

  it('a name of only dots and slashes is the root, which nothing replaces', async () => {
    for (const entry of [file('.'), symlink('./', outside), hardlink('/', 'x'), file('a/..')]) expect(await attempt(extract(as, [file('x'), entry]))).toBe('invalid_argument');
    expect(lstatSync(root).isDirectory()).toBe(true);
  });

  it('a sparse file of a terabyte takes no space, and a limit on bytes counts it', async () => {
    const sparse = join(folder, 'sparse');
    execFileSync('truncate', ['-s', '900G', sparse]);
    const tar = execFileSync('tar', ['-C', folder, '--sparse', '--format=posix', '-cf', '-', 'sparse']);
    rmSync(sparse);
    await trees.extract({ root, tar: once(tar), as });
    expect(lstatSync(join(root, 'sparse')).blocks).toBeLessThan(64);
    await expect(trees.extract({ root, tar: once(tar), as, maxBytes: 1 << 30 })).rejects.toMatchObject({ code: 'resource_exhausted' });
  });

  it('whatever an archive says, nothing outside is touched', async () => {
    const step = fc.constantFrom('a', 'b', 'c', '..', '.', '', 'outside', 'canary', '.wh.a', '.wh..wh..opq');
    const path = fc.tuple(fc.constantFrom('', '/', './', `${outside}/`), fc.array(step, { minLength: 1, maxLength: 4 })).map(([start, steps]) => start + steps.join('/') || 'a');
    const target = fc.oneof(path, fc.constantFrom(outside, '../outside', join(outside, 'canary'), '/', '.', '..', '../..', '/proc/self/root', 'a', 'b/c'));
    const entry = fc.oneof(
      path.map((at) => file(at.replace(/\/+$/, '') || 'a')),
      path.map(directory),
      { weight: 2, arbitrary: fc.tuple(path, target).map(([at, to]) => symlink(at, to)) },
      fc.tuple(path, target).map(([at, to]) => hardlink(at, to)),
      path.map((at): Bare => ({ path: at, type: 'fifo' })),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(entry, { minLength: 2, maxLength: 12 }), async (entries) => {
        await attempt(extract(as, entries));
        // One at a time too: an entry that is refused ends an archive.
        for (const one of entries) await attempt(extract('files', [one]));
        expect((await pack()).includes(SECRET)).toBe(false);
        await trees.remove(root);
        mkdirSync(root);
        expect(portrait()).toBe(before);
      }),
      { numRuns: 25 },
    );
  }, 60_000);
});

describe('trees that a guest has made', () => {
  it('CVE-2024-9675: a path given by a caller stays inside, whatever it is joined of', async () => {
    mkdirSync(join(root, 'outside'));
    await extract('files', [file('x')], '../../outside');
    expect(readdirSync(join(root, 'outside'))).toEqual(['x']);
    symlinkSync(outside, join(root, 'link'));
    await expect(extract('files', [file('x')], '/link')).rejects.toMatchObject({ code: 'not_found' });
    await expect(pack('link/canary')).rejects.toMatchObject({ code: 'not_found' });
    await expect(pack('../outside/canary')).rejects.toMatchObject({ code: 'not_found' });
    await expect(trees.copyUp({ kind: 'directory', path: root }, '/link', join(root, 'outside'))).resolves.toBe(false);
  });

  it('CVE-2024-9676: a file that is a link or a pipe is neither followed nor waited for', async () => {
    mkdirSync(join(root, 'etc'));
    symlinkSync(join(outside, 'canary'), join(root, 'etc/passwd'));
    execFileSync('mkfifo', [join(root, 'etc/group')]);
    expect((await pack()).includes(SECRET)).toBe(false);
    expect((await pack('etc/group')).length).toBeLessThan(4096);
    await expect(pack('etc/passwd')).rejects.toMatchObject({ code: 'not_found' });
  });

  it('CVE-2019-14271: the helper loads nothing at run time that a tree could bring', () => {
    const elf = readFileSync(resolve(import.meta.dirname, '../../dist/native/sandbar-tree'));
    const [at, size, count] = [Number(elf.readBigUInt64LE(32)), elf.readUInt16LE(54), elf.readUInt16LE(56)];
    const types = Array.from({ length: count }, (_, n) => elf.readUInt32LE(at + n * size));
    // elf(5): PT_DYNAMIC and PT_INTERP are what an executable with a loader has.
    expect(types.filter((type) => type === 2 || type === 3)).toEqual([]);
    expect(types.length).toBeGreaterThan(0);
  });

  it('CVE-2026-41568, CVE-2026-42306: missing directories are made in the tree, not where a link of the guest leads', async () => {
    symlinkSync(outside, join(root, 'mnt'));
    symlinkSync('../../../../../../..', join(root, 'up'));
    await attempt(extract('files', [file('mnt/a/b')]));
    await extract('files', [file(`up${outside}/made/here`)]);
    expect(readdirSync(join(root, outside))).toContain('made');
  });

  it('whiteouts and reserved names go through no link', async () => {
    await attempt(extract('layer', [symlink('out', outside), file('out/.wh.canary', ''), file('out/.wh..wh..opq', '')]));
    await attempt(extract('layer', [file('.wh..wh.plnk/../../outside/x', '')]));
  });

  it('a removal goes through no link, nor does a measurement', async () => {
    symlinkSync(outside, join(root, 'out'));
    linkSync(join(root, 'out'), join(root, 'again'));
    chmodSync(root, 0);
    expect((await trees.usage(root)).inodes).toBe(2);
    await trees.remove(join(root, 'out'));
    await trees.remove(root);
    await expect(trees.remove(`${folder}/..`)).rejects.toBeInstanceOf(CodedError);
    symlinkSync(outside, root);
    await expect(trees.usage(root)).rejects.toMatchObject({ code: 'not_found' });
    await expect(extract('files', [file('x')])).rejects.toMatchObject({ code: 'not_found' });
    await trees.remove(root);
  });

  it('CVE-2018-15664: a directory that a guest swaps with a link leads nowhere, in no operation', async () => {
    const stop = new Int32Array(new SharedArrayBuffer(8));
    const guest = new Worker(
      `const { renameSync, symlinkSync, unlinkSync, mkdirSync, rmdirSync } = require('node:fs');
       const { stop, root, outside } = require('node:worker_threads').workerData;
       const quietly = (action) => { try { action(); } catch {} };
       mkdirSync(root + '/d/e', { recursive: true });
       while (Atomics.load(stop, 0) === 0) {
         quietly(() => renameSync(root + '/d', root + '/real'));
         quietly(() => symlinkSync(outside, root + '/d'));
         quietly(() => unlinkSync(root + '/d'));
         quietly(() => renameSync(root + '/real', root + '/d'));
         quietly(() => mkdirSync(root + '/d/e', { recursive: true }));
         Atomics.add(stop, 1, 1);
       }`,
      { eval: true, workerData: { stop, root, outside } },
    );
    const outcomes = new Set<string>();
    const archive = [directory('d'), file('d/canary'), file('d/e/canary'), hardlink('d/twin', 'd/canary'), symlink('d/l', outside), file('d/l/canary'), file('d/canary')];
    const until = Date.now() + 4000;
    while (Date.now() < until) {
      outcomes.add(await attempt(extract('files', archive)));
      outcomes.add(await attempt(extract('files', [file('canary'), file('new')], 'd')));
      for (const path of ['', 'd', 'd/canary']) {
        outcomes.add(await attempt(pack(path).then((bytes) => { expect(bytes.includes(SECRET)).toBe(false); })));
      }
      await trees.usage(root);
      await trees.remove(join(root, 'd'));
      expect(portrait()).toBe(before);
    }
    Atomics.store(stop, 0, 1);
    await guest.terminate();
    expect(Atomics.load(stop, 1)).toBeGreaterThan(100);
    expect(outcomes).toContain('done');
  }, 60_000);
});
