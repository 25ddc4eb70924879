import type { Digest } from '#kernel';
import type { RootfsMount } from '../linux/index.js';

/**
 * Unpacked layers. A layer is named by its chainID: the digest of the whole stack below and including it (OCI image-spec, config.md,
 * "Layer ChainID"), so equal stacks are unpacked once per node, whatever the number of images and tenants.
 */
export interface Snapshotter {
  /**
   * Unpacks an uncompressed layer tar on top of `parent`. Idempotent; a layer is visible only when it is whole.
   * @throws CodedError `not_found` (no such parent), `digest_mismatch` (the tar does not hash to `diffId`), `invalid_argument` (not a tar)
   */
  unpack(layer: LayerSource): Promise<Digest>;
  /** Whether that stack is unpacked. */
  has(chainId: Digest): Promise<boolean>;
  /** The directories of a stack, topmost first. @throws CodedError `not_found` */
  layerDirs(chainId: Digest): Promise<readonly string[]>;
  /** A root file system with a fresh writable layer over the stack. @throws CodedError `not_found` */
  rootfs(chainId: Digest, upper: { sizeBytes: number; inodes: number }): Promise<RootfsMount>;
  list(): Promise<SnapshotInfo[]>;
  /** Idempotent. @throws CodedError `failed_precondition` while another layer stands on it. */
  remove(chainId: Digest): Promise<void>;
}

export interface LayerSource {
  readonly parent?: Digest;
  readonly diffId: Digest;
  /** The uncompressed tar. */
  readonly tar: AsyncIterable<Uint8Array>;
}

export interface SnapshotInfo {
  readonly chainId: Digest;
  readonly parent: Digest | undefined;
  readonly diffId: Digest;
}
