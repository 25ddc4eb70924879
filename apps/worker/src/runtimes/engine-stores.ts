import { chmod, mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { FsContentStore, FsImageStore, OverlaySnapshotter, type ContentStore, type ImageStore, type Snapshotter } from '#engine';

export interface EngineStores {
  readonly content: ContentStore;
  readonly snapshots: Snapshotter;
  readonly images: ImageStore;
}

/** The engine's storage below `<data folder>/engine`, made if need be. What dead processes left half made is swept. */
export async function openEngineStores(dataDir: string): Promise<EngineStores> {
  const root = join(dataDir, 'engine');
  await mkdir(root, { recursive: true });
  // Guests' shifted uids pass through on the way to their own folders; they cannot list it.
  await chmod(root, 0o711);
  const content = await FsContentStore.open(join(root, 'content'));
  const snapshots = await OverlaySnapshotter.open(join(root, 'snapshots'));
  const images = await FsImageStore.open({ root: join(root, 'images'), content, snapshots });
  return { content, snapshots, images };
}
