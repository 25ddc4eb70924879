import type { Digest } from '#kernel';
import type { RootfsMount } from '../linux/index.js';
import type { TreeChange } from '../tree/index.js';

/**
 * Unpacked layers. A layer is named by its chainID: the digest of the whole stack below and including it (OCI image-spec, config.md,
 * "Layer ChainID"), so equal stacks are unpacked once per node, whatever the number of images and tenants.
 */
export interface Snapshotter {
  /**
   * Unpacks an uncompressed layer tar on top of `parent`, reading it to its end. Idempotent; a layer is visible only when it is whole
   * and on disk.
   * @throws CodedError `not_found` (no such parent), `digest_mismatch` (the tar does not hash to `diffId`), `invalid_argument` (not a tar,
   * a hostile one, a stack of more than 127 layers), `resource_exhausted` (the disk is full). What the source throws, likewise.
   */
  unpack(layer: LayerSource): Promise<SnapshotInfo>;
  /** Whether that stack is unpacked. */
  has(chainId: Digest): Promise<boolean>;
  /** The directories of a stack, topmost first. @throws CodedError `not_found` */
  layerDirs(chainId: Digest): Promise<readonly string[]>;
  /** A root file system with a fresh writable layer over the stack. @throws CodedError `not_found` */
  rootfs(chainId: Digest, upper: { sizeBytes: number; inodes: number }): Promise<RootfsMount>;
  /** The tar of a writable layer's changes, as `unpack` takes it. Costs what the changes cost, whatever lies below. */
  packChanges(layer: WritableLayer): AsyncIterable<Buffer>;
  /** The tar of the whole tree that a container sees. */
  packTree(chainId: Digest | undefined, layer: WritableLayer | undefined): AsyncIterable<Buffer>;
  /** As `docker diff`. @throws CodedError `not_found` */
  changes(chainId: Digest | undefined, layer: WritableLayer): Promise<TreeChange[]>;
  /** Bytes of the layer's own files, as its tar had them. @throws CodedError `not_found` */
  sizeOf(chainId: Digest): Promise<number>;
  list(): Promise<SnapshotInfo[]>;
  /** Idempotent. @throws CodedError `failed_precondition` while another layer stands on it. */
  remove(chainId: Digest): Promise<void>;
}

/** A container's own layer on its tenant's disk: overlayfs' upper and work directory side by side, ids as the guest has them. */
export interface WritableLayer {
  readonly upperDir: string;
  readonly workDir: string;
  /** As `DirectoryUpper.fleeting`. */
  readonly fleeting?: boolean;
}

export interface LayerSource {
  readonly parent?: Digest;
  /** What the tar must hash to. Absent: it is whatever it is, and the answer says. */
  readonly diffId?: Digest;
  /** The uncompressed tar. */
  readonly tar: AsyncIterable<Uint8Array>;
}

export interface SnapshotInfo {
  readonly chainId: Digest;
  readonly parent: Digest | undefined;
  readonly diffId: Digest;
  /** Bytes of its files (the sum of the sizes in its tar). Absent in those that older versions unpacked. */
  readonly sizeBytes?: number;
}
