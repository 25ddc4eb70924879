import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { CodedError, digestOf, type Digest } from '#kernel';
import { readTar } from '../tar/index.js';
import type { Snapshotter, WritableLayer } from './snapshots.js';

export interface SnapshotterUnderTest {
  readonly snapshotter: Snapshotter;
  /** How many half-made things the store holds. */
  countUnfinished(): Promise<number>;
  /** A container's layer on that stack, mounted once for these changes. */
  writableLayer(chainId: Digest, change: (merged: string) => Promise<void>): Promise<WritableLayer>;
  cleanup(): Promise<void>;
}

const gather = async (source: AsyncIterable<Buffer>): Promise<Buffer> => {
  const chunks: Buffer[] = [];
  for await (const chunk of source) chunks.push(chunk);
  return Buffer.concat(chunks);
};

const names = async (tar: AsyncIterable<Buffer>): Promise<string[]> => {
  const paths: string[] = [];
  for await (const { path } of readTar(tar)) paths.push(path);
  return paths;
};

/** A tar of these files, made by the host's tar with the caller as owner. */
export async function tarOf(files: Readonly<Record<string, string>>): Promise<Buffer> {
  const folder = await mkdtemp(join(tmpdir(), 'tar-of-'));
  try {
    for (const [path, content] of Object.entries(files)) {
      await mkdir(dirname(join(folder, path)), { recursive: true });
      if (content.startsWith('-> ')) await symlink(content.slice(3), join(folder, path));
      else await writeFile(join(folder, path), content);
    }
    const { stdout } = await promisify(execFile)('tar', ['-C', folder, '--sort=name', '--mtime=@0', '-cf', '-', '.'], { encoding: 'buffer', maxBuffer: 1 << 26 });
    return stdout;
  } finally {
    await rm(folder, { recursive: true });
  }
}

export async function* streamOf(bytes: Uint8Array, step = 1000): AsyncGenerator<Uint8Array, void, void> {
  for (let at = 0; at < bytes.length; at += step) {
    await Promise.resolve();
    yield bytes.subarray(at, at + step);
  }
}

export function describeSnapshotter(name: string, factory: () => Promise<SnapshotterUnderTest>): void {
  describe(`${name} as Snapshotter`, () => {
    let under: SnapshotterUnderTest;
    let snapshotter: Snapshotter;
    beforeEach(async () => {
      under = await factory();
      snapshotter = under.snapshotter;
    });
    afterEach(() => under.cleanup());

    const nothingKept = async () => {
      expect(await snapshotter.list()).toEqual([]);
      expect(await under.countUnfinished()).toBe(0);
    };

    it('unpacks a layer under its chainID', async () => {
      const tar = await tarOf({ 'etc/motd': 'hello', 'etc/link': '-> motd' });
      const snapshot = await snapshotter.unpack({ diffId: digestOf(tar), tar: streamOf(tar) });
      expect(snapshot).toEqual({ chainId: digestOf(tar), parent: undefined, diffId: digestOf(tar), sizeBytes: 5 });
      expect(await snapshotter.sizeOf(snapshot.chainId)).toBe(5);
      const [dir] = await snapshotter.layerDirs(snapshot.chainId);
      expect(await readFile(join(dir!, 'etc/link'), 'utf8')).toBe('hello');
      expect(await snapshotter.has(snapshot.chainId)).toBe(true);
      expect(await snapshotter.list()).toEqual([snapshot]);
      expect(await under.countUnfinished()).toBe(0);
    });

    it('stacks layers, topmost first', async () => {
      const [low, high] = [await tarOf({ a: 'low' }), await tarOf({ b: 'high' })];
      const below = await snapshotter.unpack({ tar: streamOf(low) });
      const above = await snapshotter.unpack({ parent: below.chainId, tar: streamOf(high) });
      // image-spec, config.md: ChainID(L0|L1) = Digest(ChainID(L0) + " " + DiffID(L1))
      expect(above.chainId).toBe(digestOf(`${digestOf(low)} ${digestOf(high)}`));
      const dirs = await snapshotter.layerDirs(above.chainId);
      expect(await readFile(join(dirs[0]!, 'b'), 'utf8')).toBe('high');
      expect(await readFile(join(dirs[1]!, 'a'), 'utf8')).toBe('low');
      const rootfs = await snapshotter.rootfs(above.chainId, { sizeBytes: 4096, inodes: 7 });
      expect(rootfs).toEqual({ kind: 'overlay', lowerDirs: dirs, upper: { kind: 'tmpfs', sizeBytes: 4096, inodes: 7 } });
    });

    it('keeps a layer once, however many unpack it at a time', async () => {
      const tar = await tarOf({ a: 'x'.repeat(10_000) });
      const made = await Promise.all([1, 2, 3].map(() => snapshotter.unpack({ tar: streamOf(tar) })));
      expect(new Set(made.map((snapshot) => snapshot.chainId)).size).toBe(1);
      expect(await snapshotter.list()).toHaveLength(1);
      expect(await under.countUnfinished()).toBe(0);
    });

    it('keeps nothing of a tar with another digest', async () => {
      const tar = await tarOf({ a: '1' });
      await expect(snapshotter.unpack({ diffId: digestOf('another'), tar: streamOf(tar) })).rejects.toMatchObject({ code: 'digest_mismatch' });
      await nothingKept();
    });

    it.each([
      ['nothing', Buffer.alloc(0)],
      ['text', Buffer.from('no tar at all\n'.repeat(1000))],
      ['noise larger than a pipe', Buffer.alloc(1_000_000, 0xa7)],
      ['a short piece', Buffer.from('x')],
    ])('refuses %s', async (_what, bytes) => {
      await expect(snapshotter.unpack({ tar: streamOf(bytes) })).rejects.toMatchObject({ code: 'invalid_argument' });
      await nothingKept();
    });

    it('refuses a tar that ends too early', async () => {
      const tar = await tarOf({ a: 'x'.repeat(100_000) });
      await expect(snapshotter.unpack({ tar: streamOf(tar.subarray(0, 50_000)) })).rejects.toMatchObject({ code: 'invalid_argument' });
      await nothingKept();
    });

    it('counts the bytes behind the end of the archive too', async () => {
      const tar = Buffer.concat([await tarOf({ a: '1' }), Buffer.alloc(70_000, 0xee)]);
      expect((await snapshotter.unpack({ diffId: digestOf(tar), tar: streamOf(tar) })).diffId).toBe(digestOf(tar));
    });

    it('carries whiteouts out', async () => {
      const below = await snapshotter.unpack({ tar: streamOf(await tarOf({ 'd/gone': '1', 'd/kept': '2' })) });
      const above = await snapshotter.unpack({ parent: below.chainId, tar: streamOf(await tarOf({ 'd/.wh.gone': '', 'd/new': '3' })) });
      expect(await names(snapshotter.packTree(above.chainId, undefined))).toEqual(['./', 'd/', 'd/kept', 'd/new']);
      expect(await names(snapshotter.packTree(below.chainId, undefined))).toEqual(['./', 'd/', 'd/gone', 'd/kept']);
      expect(await snapshotter.sizeOf(above.chainId)).toBe(1);
    });

    it('makes a layer of a container’s changes, which stands for them on any node', async () => {
      const base = await snapshotter.unpack({ tar: streamOf(await tarOf({ 'd/gone': '1', 'd/edited': '2', 'e/kept': '3' })) });
      const layer = await under.writableLayer(base.chainId, async (merged) => {
        await rm(join(merged, 'd/gone'));
        await writeFile(join(merged, 'd/edited'), 'more than before');
        await mkdir(join(merged, 'n'));
      });
      expect(await snapshotter.changes(base.chainId, layer)).toEqual([
        { path: '/d', kind: 'modified' },
        { path: '/d/edited', kind: 'modified' },
        { path: '/d/gone', kind: 'deleted' },
        { path: '/n', kind: 'added' },
      ]);
      expect(await names(snapshotter.packChanges(layer))).toEqual(['./', 'd/', 'd/edited', 'd/.wh.gone', 'n/']);
      const made = await snapshotter.unpack({ parent: base.chainId, tar: snapshotter.packChanges(layer) });
      expect(digestOf(await gather(snapshotter.packTree(made.chainId, undefined)))).toBe(digestOf(await gather(snapshotter.packTree(base.chainId, layer))));
      expect(await names(snapshotter.packTree(undefined, layer))).toEqual(['./', 'd/', 'd/edited', 'n/']);
    });

    it('puts no more than 127 layers on each other', async () => {
      let parent: Digest | undefined;
      for (let n = 0; n < 127; n += 1) parent = (await snapshotter.unpack({ ...(parent && { parent }), tar: streamOf(Buffer.alloc(1024)) })).chainId;
      await expect(snapshotter.unpack({ parent: parent!, tar: streamOf(Buffer.alloc(1024)) })).rejects.toMatchObject({ code: 'invalid_argument' });
      expect(await names(snapshotter.packTree(parent, undefined))).toEqual(['./']);
    }, 120_000);

    it('keeps nothing when the source fails', async () => {
      const tar = await tarOf({ a: 'x'.repeat(100_000) });
      async function* failing(): AsyncGenerator<Uint8Array, void, void> {
        yield* streamOf(tar.subarray(0, 60_000));
        throw new CodedError('unavailable', 'the line went dead');
      }
      await expect(snapshotter.unpack({ tar: failing() })).rejects.toMatchObject({ code: 'unavailable' });
      await nothingKept();
    });

    it('knows what is not there', async () => {
      const absent = digestOf('absent');
      const tar = await tarOf({ a: '1' });
      expect(await snapshotter.has(absent)).toBe(false);
      await expect(snapshotter.layerDirs(absent)).rejects.toMatchObject({ code: 'not_found' });
      await expect(snapshotter.rootfs(absent, { sizeBytes: 1, inodes: 1 })).rejects.toMatchObject({ code: 'not_found' });
      await expect(snapshotter.unpack({ parent: absent, tar: streamOf(tar) })).rejects.toMatchObject({ code: 'not_found' });
      await expect(snapshotter.remove(absent)).resolves.toBeUndefined();
      await nothingKept();
    });

    it('does not remove a layer from under another', async () => {
      const below = await snapshotter.unpack({ tar: streamOf(await tarOf({ a: '1' })) });
      const above = await snapshotter.unpack({ parent: below.chainId, tar: streamOf(await tarOf({ b: '2' })) });
      await expect(snapshotter.remove(below.chainId)).rejects.toMatchObject({ code: 'failed_precondition' });
      await snapshotter.remove(above.chainId);
      await snapshotter.remove(above.chainId);
      await snapshotter.remove(below.chainId);
      await nothingKept();
    });
  });
}
