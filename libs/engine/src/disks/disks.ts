import type { TenantId } from '#kernel';

/**
 * What a tenant may write: one disk each with a hard end (ENOSPC), on which its containers' writable layers, its volumes and its virtual
 * host tree lie. Disks outlive a restart of the worker, mounted as they are.
 */
export interface TenantDisks {
  /** Which mechanism was chosen at start, for doctor and logs. */
  readonly driver: string;
  /** Finds mounted disks again and mends what a crash left. To be awaited once before all else. */
  recover(): Promise<void>;
  /**
   * The tenant's disk, made and mounted when need be; brought to that size (within 1 MiB of usable bytes) when it differs. Idempotent, and free when
   * nothing differs. A process without CAP_SYS_RESOURCE cannot grow a disk that sandboxes use: it stays as it is (`usage` tells) until an `ensure` finds it idle.
   * @throws CodedError `failed_precondition` when it holds more than that, `invalid_argument` (below 8 MiB)
   */
  ensure(tenantId: TenantId, sizeBytes: number): Promise<TenantDisk>;
  /** undefined when the tenant has none yet. */
  find(tenantId: TenantId): Promise<TenantDisk | undefined>;
  list(): Promise<TenantDisk[]>;
  /** Everything on it is gone. Idempotent. @throws CodedError `failed_precondition` while it is in use */
  remove(tenantId: TenantId): Promise<void>;
  /** Takes down the mounts of disks, at the node's end. What sandboxes still use stays alive with them. Idempotent. */
  close(): Promise<void>;
}

export interface TenantDisk {
  readonly tenantId: TenantId;
  /**
   * Mounted there (nosuid, nodev, noexec: whoever mounts a part of it for a guest says what holds there); root's alone. On it are `containers/`,
   * `volumes/`, `host/` and `partitions/`.
   */
  readonly path: string;
  usage(): Promise<DiskUsage>;
  /**
   * A folder on the disk with a hard end of its own, its space (and some MiB for its tables) taken from the disk at once. It is the top of a file system:
   * guests get subfolders. Idempotent by name; mounted again by the first call after a restart.
   * @throws CodedError `resource_exhausted` when the disk has not that much left
   */
  ensurePartition(name: string, sizeBytes: number): Promise<string>;
  /** Idempotent. */
  removePartition(name: string): Promise<void>;
}

export interface DiskUsage {
  readonly totalBytes: number;
  readonly usedBytes: number;
  readonly availableBytes: number;
  readonly totalInodes: number;
  readonly usedInodes: number;
}
