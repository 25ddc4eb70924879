import { zstdDecompressSync } from 'node:zlib';
import { CodedError, digestOf, type Digest } from '#kernel';
import type { ContentStore } from '../content/index.js';
import type { Snapshotter } from '../snapshots/index.js';
import { streamOf, tarOf } from '../snapshots/snapshots.contract.js';
import type { NamedImages } from './named-images.contract.js';

export interface NamedImagesUnderTest {
  readonly images: NamedImages;
  readonly content: ContentStore;
  readonly snapshots: Snapshotter;
  /** The same state, seen after a restart. */
  reopen(): Promise<NamedImages>;
  cleanup(): Promise<void>;
}

const CREATED = '2026-01-02T03:04:05Z';

export function describeNamedImages(name: string, factory: () => Promise<NamedImagesUnderTest>): void {
  describe(`${name} by name`, () => {
    let under: NamedImagesUnderTest;
    let images: NamedImages;
    let tar: Buffer;
    beforeEach(async () => {
      under = await factory();
      images = under.images;
      tar = await tarOf({ 'etc/motd': 'hello' });
    });
    afterEach(() => under.cleanup());

    const request = (namespace: string, imageName: string, bytes = tar) => ({ namespace, name: imageName, tar: streamOf(bytes), created: CREATED });
    const json = async (digest: Digest): Promise<unknown> => JSON.parse((await under.content.read(digest)).toString());
    const blobs = async (): Promise<Digest[]> => {
      const found: Digest[] = [];
      for await (const { digest } of under.content.list()) found.push(digest);
      return found;
    };

    it('imports a root file system as an OCI image of one layer', async () => {
      const image = await images.importRootfs({ ...request('system', 'runtime/python:5f2a'), config: { Cmd: ['sh'] }, comment: 'for tests' });
      expect(image.chainId).toBe(digestOf(tar));
      expect(await under.snapshots.has(image.chainId)).toBe(true);
      expect(await json(image.id)).toEqual({ ...image.config });
      expect(image.config).toMatchObject({
        os: 'linux',
        created: CREATED,
        config: { Cmd: ['sh'] },
        rootfs: { type: 'layers', diff_ids: [digestOf(tar)] },
        history: [{ created: CREATED, comment: 'for tests' }],
      });
      const manifest = (await json(image.manifest)) as { config: object; layers: { mediaType: string; digest: Digest; size: number }[] };
      expect(manifest).toMatchObject({ schemaVersion: 2, mediaType: 'application/vnd.oci.image.manifest.v1+json', config: { mediaType: 'application/vnd.oci.image.config.v1+json', digest: image.id } });
      expect(manifest.layers).toHaveLength(1);
      const [layer] = manifest.layers;
      expect(layer!.mediaType).toBe('application/vnd.oci.image.layer.v1.tar+zstd');
      expect(await under.content.stat(layer!.digest)).toEqual({ digest: layer!.digest, size: layer!.size });
      expect(zstdDecompressSync(await under.content.read(layer!.digest)).equals(tar)).toBe(true);
    });

    it('gives the same image for the same bytes and config, whatever the order of its fields', async () => {
      const one = await images.importRootfs({ ...request('system', 'a'), config: { Cmd: ['x'], User: 'u' } });
      const other = await images.importRootfs({ ...request('ten_b', 'b'), config: { User: 'u', Cmd: ['x'] } });
      expect(other).toEqual(one);
      expect(await blobs()).toHaveLength(3);
      const different = await images.importRootfs({ ...request('system', 'c'), config: { User: 'v', Cmd: ['x'] } });
      expect(different.id).not.toBe(one.id);
      expect(different.chainId).toBe(one.chainId);
    });

    it('finds images by name, each name space for itself, after a restart too', async () => {
      const image = await images.importRootfs(request('system', 'base'));
      for (const store of [images, await under.reopen()]) {
        expect(await store.get('system', 'base')).toEqual(image);
        expect(await store.list('system')).toEqual([{ name: 'base', image }]);
        await expect(store.get('ten_b', 'base')).rejects.toMatchObject({ code: 'not_found' });
        expect(await store.list('ten_b')).toEqual([]);
        await expect(store.get('system', 'other')).rejects.toMatchObject({ code: 'not_found' });
      }
    });

    it('moves a name to the image imported last', async () => {
      await images.importRootfs(request('system', 'base'));
      const next = await images.importRootfs(request('system', 'base', await tarOf({ a: '2' })));
      expect(await images.list('system')).toEqual([{ name: 'base', image: next }]);
    });

    it('removes what no other name needs, and only that', async () => {
      const shared = await images.importRootfs(request('system', 'one'));
      await images.importRootfs(request('ten_b', 'two'));
      const own = await images.importRootfs(request('system', 'three', await tarOf({ a: '3' })));
      await images.remove('system', 'one');
      expect(await images.get('ten_b', 'two')).toEqual(shared);
      expect(await under.snapshots.has(shared.chainId)).toBe(true);
      await images.remove('ten_b', 'two');
      await images.remove('ten_b', 'two');
      expect((await under.snapshots.list()).map((snapshot) => snapshot.chainId)).toEqual([own.chainId]);
      expect(await blobs()).toHaveLength(3);
      await images.remove('system', 'three');
      expect(await blobs()).toEqual([]);
    });

    it('lets removals and imports of the same image run at once', async () => {
      await images.importRootfs(request('system', 'a'));
      const [image] = await Promise.all([images.importRootfs(request('system', 'b')), images.remove('system', 'a'), images.importRootfs(request('ten_c', 'c')), images.remove('ten_c', 'c')]);
      expect(await images.get('system', 'b')).toEqual(image);
      expect(await under.snapshots.has(image.chainId)).toBe(true);
      for (const digest of await blobs()) await under.content.read(digest);
    });

    it('names nothing that is not a tar', async () => {
      await expect(images.importRootfs(request('system', 'bad', Buffer.alloc(300_000, 0x61)))).rejects.toMatchObject({ code: 'invalid_argument' });
      expect(await images.list('system')).toEqual([]);
      expect(await under.snapshots.list()).toEqual([]);
      expect(await blobs()).toEqual([]);
    });

    it('takes back nothing that another name needs when an import fails', async () => {
      const image = await images.importRootfs(request('system', 'good'));
      async function* late(): AsyncGenerator<Uint8Array, void, void> {
        yield* streamOf(tar);
        await Promise.resolve();
        throw new CodedError('unavailable', 'the line went dead at the very end');
      }
      await expect(images.importRootfs({ ...request('system', 'bad'), tar: late() })).rejects.toMatchObject({ code: 'unavailable' });
      expect(await images.get('system', 'good')).toEqual(image);
      expect(await under.snapshots.has(image.chainId)).toBe(true);
      expect(await blobs()).toHaveLength(3);
    });

    it('hands on what the source throws, and names nothing', async () => {
      async function* failing(): AsyncGenerator<Uint8Array, void, void> {
        yield* streamOf(tar.subarray(0, 5000));
        throw new CodedError('unavailable', 'the line went dead');
      }
      await expect(images.importRootfs({ ...request('system', 'bad'), tar: failing() })).rejects.toMatchObject({ code: 'unavailable' });
      expect(await images.list('system')).toEqual([]);
      expect(await blobs()).toEqual([]);
    });

    it('collects what an import without an end has left', async () => {
      const kept = await images.importRootfs(request('system', 'kept'));
      await under.content.write(streamOf(Buffer.from('half an import')));
      const orphan = await under.snapshots.unpack({ tar: streamOf(await tarOf({ orphan: '1' })) });
      await under.snapshots.unpack({ parent: orphan.chainId, tar: streamOf(await tarOf({ child: '1' })) });
      await images.collectGarbage();
      expect(await blobs()).toHaveLength(3);
      expect((await under.snapshots.list()).map((snapshot) => snapshot.chainId)).toEqual([kept.chainId]);
      expect(await images.get('system', 'kept')).toEqual(kept);
    });

    it.each(['', '/', '../x', 'UPPER', 'a//b', 'a:', 'a:b:c', ' a', 'a\n', `a${'b'.repeat(255)}`])('refuses %j as a name', async (bad) => {
      await expect(images.importRootfs(request('system', bad))).rejects.toMatchObject({ code: 'invalid_argument' });
      await expect(images.get('system', bad)).rejects.toMatchObject({ code: 'invalid_argument' });
      await expect(images.remove('system', bad)).rejects.toMatchObject({ code: 'invalid_argument' });
    });

    it.each(['', '.', '..', 'a/b', 'a\0'])('refuses %j as a name space', async (bad) => {
      await expect(images.importRootfs(request(bad, 'a'))).rejects.toMatchObject({ code: 'invalid_argument' });
      await expect(images.list(bad)).rejects.toMatchObject({ code: 'invalid_argument' });
    });
  });
}
