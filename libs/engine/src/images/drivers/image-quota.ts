import { CodedError } from '#kernel';
import type { ImageLayer } from '../tenant-images.js';
import type { ImageSpace } from './image-space.js';

/** A tar of many small files is larger than their sum: it is cut off late, and weighed when it is unpacked. */
const STREAM_SLACK_BYTES = 256 * 1024 * 1024;

/** What the layers of a name space may take up, each counted once. */
export class ImageQuota {
  constructor(private readonly quotaBytesOf: ((namespace: string) => number | undefined) | undefined) {}

  /** A layer's tar that is longer is not read on: what it makes would not fit. */
  streamLimit(namespace: string, space: ImageSpace): number {
    const quota = this.quotaBytesOf?.(namespace);
    return quota === undefined ? Number.POSITIVE_INFINITY : 2 * Math.max(0, quota - space.layersBytes()) + STREAM_SLACK_BYTES;
  }

  /** @throws CodedError `quota_exceeded` */
  check(namespace: string, space: ImageSpace, layers: readonly ImageLayer[]): void {
    const quota = this.quotaBytesOf?.(namespace);
    if (quota === undefined) return;
    const sizes = space.layerSizes();
    const used = space.layersBytes();
    const fresh = new Map(layers.filter(({ chainId }) => !sizes.has(chainId)).map(({ chainId, sizeBytes }) => [chainId, sizeBytes]));
    const more = [...fresh.values()].reduce((sum, size) => sum + size, 0);
    if (used + more > quota) throw new CodedError('quota_exceeded', `no space left for images: ${used} of ${quota} bytes are in use, ${more} more are needed`, { quotaBytes: quota, usedBytes: used, neededBytes: more });
  }
}
