import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { FsContentStore } from '../content/index.js';
import { describeNamedImages } from './images.contract.js';
import { FsTenantImages } from './index.js';
import { MemorySnapshotter } from './memory-snapshotter.contract.js';
import { NamedImages } from './named-images.contract.js';

describeNamedImages('FsTenantImages', async () => {
  const root = await mkdtemp(join(tmpdir(), 'images-'));
  const content = await FsContentStore.open(join(root, 'content'));
  const snapshots = new MemorySnapshotter();
  const open = async () => new NamedImages(await FsTenantImages.open({ root: join(root, 'images'), content, snapshots }));
  return { images: await open(), content, snapshots, reopen: open, cleanup: () => rm(root, { recursive: true, force: true }) };
});
