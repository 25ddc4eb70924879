import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { CodedError, digestHex, digestOf, parseReference } from '#kernel';
import { FsContentStore } from '../content/index.js';
import type { LayerSource, SnapshotInfo } from '../snapshots/index.js';
import { streamOf } from '../snapshots/snapshots.contract.js';
import { DurableImageFiles, type ImageFiles } from './drivers/image-files.js';
import { FsTenantImages } from './index.js';
import { NamedImages } from './named-images.contract.js';
import { MemorySnapshotter } from './memory-snapshotter.contract.js';
import { layerTar, storeImage } from './tenant-images.contract.js';

describe('FsTenantImages', () => {
  let root: string;
  let content: FsContentStore;
  let snapshots: MemorySnapshotter;
  let tar: Buffer;
  beforeEach(async () => {
    root = await mkdtemp(join(tmpdir(), 'fs-tenant-images-'));
    content = await FsContentStore.open(join(root, 'content'));
    snapshots = new MemorySnapshotter();
    tar = await layerTar('file');
  });
  afterEach(() => rm(root, { recursive: true, force: true }));

  const open = (files?: ImageFiles) => FsTenantImages.open({ root: join(root, 'images'), content, snapshots, ...(files ? { files } : {}) });
  const importAs = (images: FsTenantImages, name: string) => images.importTar('ten_a', { tar: streamOf(tar), changes: [], name: parseReference(name) });

  it('does not lose a layer that a collector meets before its maker has learnt its name', async () => {
    let collected: Promise<unknown> | undefined;
    class Collected extends MemorySnapshotter {
      override async unpack(layer: LayerSource): Promise<SnapshotInfo> {
        const snapshot = await super.unpack(layer);
        collected = images.collectGarbage();
        await Promise.race([collected, sleep(50)]);
        return snapshot;
      }
    }
    snapshots = new Collected();
    const images = await open();
    const image = await importAs(images, 'a');
    await collected;
    expect(await snapshots.has(image.chainId)).toBe(true);
  });

  it('takes over what version 1 named, and lets the rest go', async () => {
    const manifest = await storeImage(content, [{ tar }]);
    await snapshots.unpack({ tar: streamOf(tar) });
    const refs = join(root, 'images', 'refs', 'system');
    await mkdir(refs, { recursive: true });
    await writeFile(join(refs, `${digestHex(digestOf('runtime/0'))}.json`), JSON.stringify({ name: 'runtime/0', manifest }));
    await writeFile(join(refs, `${digestHex(digestOf('gone'))}.json`), JSON.stringify({ name: 'gone', manifest: digestOf('gone') }));
    await writeFile(join(refs, 'noise.json'), '{');
    for (let start = 0; start < 2; start += 1) {
      const images = new NamedImages(await open());
      await images.collectGarbage();
      expect(await images.list('system')).toMatchObject([{ name: 'runtime/0', image: { manifest, chainId: digestOf(tar) } }]);
      expect(await readdir(join(root, 'images'))).toEqual(['tenants']);
    }
  });

  it('leaves out images of which a part is missing, and says so', async () => {
    const whole = await importAs(await open(), 'whole');
    tar = await layerTar('other');
    const broken = await importAs(await open(), 'broken');
    await content.delete(broken.layers[0]!.blob);
    await writeFile(join(root, 'images', 'tenants', 'ten_a', 'images', `${'0'.repeat(64)}.json`), 'damaged');
    const images = await open();
    expect((await images.list('ten_a')).map(({ id }) => id)).toEqual([whole.id]);
    await expect(images.resolve('ten_a', 'broken')).rejects.toMatchObject({ code: 'not_found' });
    expect((await importAs(images, 'again')).layers).toEqual(broken.layers);
  });

  describe('on a disk that fails', () => {
    const failing = async (which: keyof ImageFiles) => {
      const files = await DurableImageFiles.open(join(root, 'images'));
      let isFull = false;
      const fail = () => Promise.reject(new CodedError('resource_exhausted', 'the disk is full'));
      const proxy = new Proxy<ImageFiles>(files, { get: (target, key: keyof ImageFiles) => (isFull && key === which ? fail : target[key].bind(target)) });
      return { images: await open(proxy), fill: (full: boolean) => (isFull = full) };
    };

    it('shows nothing of an image whose record was not written, and keeps nothing', async () => {
      const { images, fill } = await failing('putImage');
      fill(true);
      await expect(importAs(images, 'a')).rejects.toMatchObject({ code: 'resource_exhausted' });
      expect(await images.list('ten_a')).toEqual([]);
      expect(snapshots.layers.size).toBe(0);
      expect(await readdir(join(root, 'content', 'blobs', 'sha256'))).toEqual([]);
    });

    it('shows an image again whose record could not be removed', async () => {
      const { images, fill } = await failing('removeImage');
      const before = await importAs(images, 'a');
      fill(true);
      await expect(images.remove('ten_a', 'a', { force: false, keepParents: false })).rejects.toMatchObject({ code: 'resource_exhausted' });
      expect(await images.resolve('ten_a', 'a')).toEqual(before);
      await images.collectGarbage();
      fill(false);
      expect(await images.resolve('ten_a', 'a')).toEqual(before);
      expect(await (await open()).resolve('ten_a', 'a')).toEqual(before);
      await images.remove('ten_a', 'a', { force: false, keepParents: false });
      expect(await readdir(join(root, 'content', 'blobs', 'sha256'))).toEqual([]);
    });
  });
});
