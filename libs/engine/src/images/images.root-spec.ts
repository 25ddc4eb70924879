import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { FsContentStore } from '../content/index.js';
import { OverlaySnapshotter } from '../snapshots/index.js';
import { realTrees } from '../tree/testing/trees.js';
import { describeImageStore } from './images.contract.js';
import { FsImageStore } from './index.js';

describeImageStore('FsImageStore', async () => {
  const root = await mkdtemp(join(tmpdir(), 'images-'));
  const content = await FsContentStore.open(join(root, 'content'));
  const snapshots = await OverlaySnapshotter.open(join(root, 'snapshots'), { trees: realTrees() });
  const open = () => FsImageStore.open({ root: join(root, 'images'), content, snapshots });
  return { images: await open(), content, snapshots, reopen: open, cleanup: () => rm(root, { recursive: true, force: true }) };
});
