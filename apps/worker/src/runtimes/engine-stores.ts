import { chmod, mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { FsContentStore, FsImageStore, HelperTrees, OverlaySnapshotter, type ContentStore, type ImageStore, type Snapshotter, type Trees } from '#engine';
import type { Logger } from '#kernel';

export interface EngineStores {
  readonly trees: Trees;
  readonly content: ContentStore;
  readonly snapshots: Snapshotter;
  readonly images: ImageStore;
}

export interface EngineStoresOptions {
  readonly dataDir: string;
  /** Where `sandbar-tree` is. */
  readonly nativeDir: string;
  readonly logger: Logger;
}

/** The engine's storage below `<data folder>/engine`, made if need be. What dead processes left half made is swept. */
export async function openEngineStores({ dataDir, nativeDir, logger }: EngineStoresOptions): Promise<EngineStores> {
  const root = join(dataDir, 'engine');
  await mkdir(root, { recursive: true });
  // Guests' shifted uids pass through on the way to their own folders; they cannot list it.
  await chmod(root, 0o711);
  const trees = new HelperTrees({ program: join(nativeDir, 'sandbar-tree'), logger });
  const content = await FsContentStore.open(join(root, 'content'));
  const snapshots = await OverlaySnapshotter.open(join(root, 'snapshots'), { trees });
  const images = await FsImageStore.open({ root: join(root, 'images'), content, snapshots });
  return { trees, content, snapshots, images };
}
