import { CodedError } from '#kernel';
import type { ImageLayer } from '../tenant-images.js';
import type { ImageSpace } from './image-space.js';

/** A tar of many small files is larger than their sum: it is cut off late, and weighed when it is unpacked. */
const STREAM_SLACK_BYTES = 256 * 1024 * 1024;
/** Documents lie in memory when images are listed, names are a file each: more than anyone has by hand. */
export const MAX_IMAGES = 10_000;
export const MAX_NAMES = 20_000;
export const MAX_DOCUMENTS_BYTES = 64 * 1024 * 1024;

/** What the layers of a name space may take up, each counted once. */
export class ImageQuota {
  constructor(private readonly quotaBytesOf: ((namespace: string) => number | undefined) | undefined) {}

  /** A layer's tar that is longer is not read on: what it makes would not fit. `pendingBytes`: of layers that no image counts yet. */
  streamLimit(namespace: string, space: ImageSpace, pendingBytes = 0): number {
    const quota = this.quotaBytesOf?.(namespace);
    return quota === undefined ? Number.POSITIVE_INFINITY : 2 * Math.max(0, quota - space.layersBytes() - pendingBytes) + STREAM_SLACK_BYTES;
  }

  /** What an image takes beside its layers. @throws CodedError `quota_exceeded` */
  checkDocuments(space: ImageSpace, documentsBytes: number): void {
    if (space.images.size >= MAX_IMAGES) throw new CodedError('quota_exceeded', `no more than ${MAX_IMAGES} images can be kept`);
    const used = [...space.images.values()].reduce((sum, image) => sum + (image.documentsBytes ?? 0), 0);
    if (used + documentsBytes > MAX_DOCUMENTS_BYTES) throw new CodedError('quota_exceeded', `the configs of images take more than ${MAX_DOCUMENTS_BYTES} bytes`);
  }

  /** @throws CodedError `quota_exceeded` */
  checkName(space: ImageSpace, name: string): void {
    if (!space.names.has(name) && space.names.size >= MAX_NAMES) throw new CodedError('quota_exceeded', `images have ${MAX_NAMES} names already: no more can be kept`);
  }

  /** @throws CodedError `quota_exceeded` */
  check(namespace: string, space: ImageSpace, layers: readonly Pick<ImageLayer, 'chainId' | 'sizeBytes'>[]): void {
    const quota = this.quotaBytesOf?.(namespace);
    if (quota === undefined) return;
    const sizes = space.layerSizes();
    const used = space.layersBytes();
    const fresh = new Map(layers.filter(({ chainId }) => !sizes.has(chainId)).map(({ chainId, sizeBytes }) => [chainId, sizeBytes]));
    const more = [...fresh.values()].reduce((sum, size) => sum + size, 0);
    if (used + more > quota) throw new CodedError('quota_exceeded', `no space left for images: ${used} of ${quota} bytes are in use, ${more} more are needed`, { quotaBytes: quota, usedBytes: used, neededBytes: more });
  }
}
