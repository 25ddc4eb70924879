import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { FsContentStore } from '../content/index.js';
import { describeImageStore } from './images.contract.js';
import { FsTenantImages, RootfsImages } from './index.js';
import { MemorySnapshotter } from './memory-snapshotter.contract.js';

describeImageStore('RootfsImages', async () => {
  const root = await mkdtemp(join(tmpdir(), 'images-'));
  const content = await FsContentStore.open(join(root, 'content'));
  const snapshots = new MemorySnapshotter();
  const open = async () => new RootfsImages(await FsTenantImages.open({ root: join(root, 'images'), content, snapshots }));
  return { images: await open(), content, snapshots, reopen: open, cleanup: () => rm(root, { recursive: true, force: true }) };
});
