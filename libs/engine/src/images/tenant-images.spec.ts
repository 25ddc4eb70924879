import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { FsContentStore } from '../content/index.js';
import { FsTenantImages } from './index.js';
import { MemorySnapshotter } from './memory-snapshotter.contract.js';
import { describeTenantImages } from './tenant-images.contract.js';

describeTenantImages('FsTenantImages', async (environment) => {
  const root = await mkdtemp(join(tmpdir(), 'tenant-images-'));
  const content = await FsContentStore.open(join(root, 'content'));
  const snapshots = new MemorySnapshotter();
  const open = () => FsTenantImages.open({ ...environment, root: join(root, 'images'), content, snapshots });
  return { images: await open(), content, snapshots, unpackedLayers: () => snapshots.unpacked, reopen: open, cleanup: () => rm(root, { recursive: true, force: true }) };
});
