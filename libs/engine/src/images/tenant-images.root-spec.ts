import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { FsContentStore } from '../content/index.js';
import { OverlaySnapshotter } from '../snapshots/index.js';
import { realTrees } from '../tree/testing/trees.js';
import { describeNamedImages } from './images.contract.js';
import { FsTenantImages } from './index.js';
import { NamedImages } from './named-images.contract.js';
import { describeTenantImages, type TenantImagesEnvironment } from './tenant-images.contract.js';

async function openOn(root: string, environment?: TenantImagesEnvironment) {
  const content = await FsContentStore.open(join(root, 'content'));
  const snapshots = await OverlaySnapshotter.open(join(root, 'snapshots'), { trees: realTrees() });
  const open = () => FsTenantImages.open({ ...environment, root: join(root, 'images'), content, snapshots });
  return { images: await open(), content, snapshots, reopen: open, cleanup: () => rm(root, { recursive: true, force: true }) };
}

describeTenantImages('FsTenantImages on unpacked layers', async (environment) => openOn(await mkdtemp(join(tmpdir(), 'tenant-images-root-')), environment));

describeNamedImages('FsTenantImages on unpacked layers', async () => {
  const under = await openOn(await mkdtemp(join(tmpdir(), 'images-root-')));
  return { ...under, images: new NamedImages(under.images), reopen: async () => new NamedImages(await under.reopen()) };
});
