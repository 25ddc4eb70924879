import type { TenantId } from '#kernel';
import type { DiskUsage } from '../disks/index.js';

export interface Volume {
  /** `[a-zA-Z0-9][a-zA-Z0-9_.-]{1,}`; of an anonymous one 64 hex digits. */
  readonly name: string;
  readonly driver: 'local';
  readonly createdAt: number;
  readonly labels: Readonly<Record<string, string>>;
  /** As the caller gave them: `type=tmpfs`, `o=size=64m`, `size=1g`, `type=none,o=bind,device=/of/the/host/tree`. Others are refused. */
  readonly options: Readonly<Record<string, string>>;
  /** Whether it carries the label `com.docker.volume.anonymous`, which one without a name gets. */
  readonly anonymous: boolean;
  /** Whether a container's first use has filled it (or it was written through the API). Only an unfilled one takes a copy-up. */
  readonly filled: boolean;
}

/** What a sandbox mounts. `base` is the node's own; `path` below it is the guest's to change and resolved inside `base` only. */
export type MountSource =
  | { readonly kind: 'bind'; readonly base: string; readonly path: string; readonly ensureDirectory: boolean }
  | { readonly kind: 'tmpfs'; readonly sizeBytes: number; readonly mode: number };

/**
 * A tenant's named and anonymous volumes, and its virtual host tree, all on its disk. Who uses a volume is `containers`' to know: it says so here.
 */
export interface Volumes {
  /** Reads what is there, removes what was half made or half removed. To be awaited once, after the disks' own, before all else. */
  recover(): Promise<void>;
  /**
   * Idempotent by name when driver, options are equal. The tenant's disk has been ensured before.
   * @throws CodedError `invalid_argument` (name, driver, options), `conflict` (exists with other options), `resource_exhausted` (a volume with a size does
   * not fit), `failed_precondition` (the tenant has no disk)
   */
  create(tenantId: TenantId, request: CreateVolume): Promise<Volume>;
  /** @throws CodedError `not_found`: `get NAME: no such volume` */
  get(tenantId: TenantId, name: string): Promise<Volume>;
  list(tenantId: TenantId): Promise<Volume[]>;
  /**
   * @throws CodedError `not_found`; `conflict` in use: `remove NAME: volume is in use - [IDS]` (also with force). `force`: absent is fine.
   */
  remove(tenantId: TenantId, name: string, options?: { readonly force?: boolean }): Promise<void>;
  /** What nobody uses: anonymous ones, with `all` named ones too; filtered by labels. */
  prune(tenantId: TenantId, filter: { readonly all: boolean; readonly accepts?: (volume: Volume) => boolean }): Promise<{ readonly removed: string[]; readonly reclaimedBytes: number }>;
  usage(tenantId: TenantId, name: string): Promise<{ readonly bytes: number }>;

  /**
   * Containers that hold it; a name a hold is on cannot be removed. A name need not exist: hold first, then look, and no removal comes between.
   * Idempotent. Not kept: `containers` says them again after a restart.
   */
  hold(tenantId: TenantId, name: string, holder: string): void;
  release(tenantId: TenantId, name: string, holder: string): void;
  holders(tenantId: TenantId, name: string): readonly string[];

  source(tenantId: TenantId, name: string): Promise<MountSource>;
  /** The tenant's virtual host tree at that absolute path, `..` resolved within it; made (a directory) at mount time when missing and `create`. */
  hostPath(tenantId: TenantId, path: string, create: boolean): Promise<MountSource>;
  /** The directory itself, for `Trees.copyUp`; undefined for tmpfs and bind volumes, which take no copy-up. */
  dataDir(tenantId: TenantId, name: string): Promise<string | undefined>;
  markFilled(tenantId: TenantId, name: string): Promise<void>;

  /** A tar of the content. Of a tmpfs volume there is none: `failed_precondition`. */
  pack(tenantId: TenantId, name: string): AsyncIterable<Buffer>;
  /** Extracts over what is there. @throws as `Trees.extract` */
  extract(tenantId: TenantId, name: string, tar: AsyncIterable<Uint8Array>): Promise<void>;

  diskUsage(tenantId: TenantId): Promise<DiskUsage | undefined>;
  /** All of a tenant's, when it is removed; before its disk is. Idempotent. */
  drop(tenantId: TenantId): Promise<void>;
}

export interface CreateVolume {
  /** Absent: anonymous, 64 hex digits. */
  readonly name?: string;
  readonly driver?: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly options?: Readonly<Record<string, string>>;
}
