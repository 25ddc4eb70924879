import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { FsContentStore } from '../content/index.js';
import { OverlaySnapshotter } from '../snapshots/index.js';
import { realTrees } from '../tree/testing/trees.js';
import { describeImageStore } from './images.contract.js';
import { FsTenantImages, RootfsImages } from './index.js';
import { describeTenantImages, type TenantImagesEnvironment } from './tenant-images.contract.js';

async function openOn(root: string, environment?: TenantImagesEnvironment) {
  const content = await FsContentStore.open(join(root, 'content'));
  const snapshots = await OverlaySnapshotter.open(join(root, 'snapshots'), { trees: realTrees() });
  const open = () => FsTenantImages.open({ ...environment, root: join(root, 'images'), content, snapshots });
  return { images: await open(), content, snapshots, reopen: open, cleanup: () => rm(root, { recursive: true, force: true }) };
}

describeTenantImages('FsTenantImages on unpacked layers', async (environment) => openOn(await mkdtemp(join(tmpdir(), 'tenant-images-root-')), environment));

describeImageStore('RootfsImages on unpacked layers', async () => {
  const under = await openOn(await mkdtemp(join(tmpdir(), 'images-root-')));
  return { ...under, images: new RootfsImages(under.images), reopen: async () => new RootfsImages(await under.reopen()) };
});
