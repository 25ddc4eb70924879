import { chmod, mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { FsContentStore, FsTenantImages, HelperGuestTrees, HelperTrees, OverlaySnapshotter, type ContentStore, type FsTenantImagesOptions, type GuestTrees, type Snapshotter, type Trees } from '#engine';
import type { Logger } from '#kernel';

export interface EngineStores {
  readonly trees: Trees;
  readonly guestTrees: GuestTrees;
  readonly content: ContentStore;
  readonly snapshots: Snapshotter;
  readonly tenantImages: FsTenantImages;
}

export interface EngineStoresOptions extends Pick<FsTenantImagesOptions, 'events' | 'clock' | 'quotaBytesOf'> {
  readonly dataDir: string;
  /** Where `sandbar-tree` is. */
  readonly nativeDir: string;
  readonly logger: Logger;
}

/**
 * The engine's storage below `<data folder>/engine`, made if need be. What dead processes left half made is swept. Garbage is not collected: the one process
 * that holds containers does that (`TenantImages.collectGarbage`).
 */
export async function openEngineStores({ dataDir, nativeDir, ...options }: EngineStoresOptions): Promise<EngineStores> {
  const root = join(dataDir, 'engine');
  await mkdir(root, { recursive: true });
  // Guests' shifted uids pass through on the way to their own folders; they cannot list it.
  await chmod(root, 0o711);
  const helper = { program: join(nativeDir, 'sandbar-tree'), logger: options.logger };
  const trees = new HelperTrees(helper);
  const content = await FsContentStore.open(join(root, 'content'));
  const snapshots = await OverlaySnapshotter.open(join(root, 'snapshots'), { trees });
  const tenantImages = await FsTenantImages.open({ ...options, root: join(root, 'images'), content, snapshots });
  return { trees, guestTrees: new HelperGuestTrees(helper), content, snapshots, tenantImages };
}
