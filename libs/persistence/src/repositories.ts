import type { CreateRun, ListRunsQuery, LogFrame, OperationJob, OperationOutcome, OperationView, Page, RunOutcome, RunState, Scope, TenantLimits } from '#contracts';
import type { ApiKeyId, NodeId, OperationId, RunId, TenantId } from '#kernel';
import type { BuildDeliveryRepository, BuildSourceRepository } from './build-sources.js';
import type { BuildLogRepository, BuildRepository } from './builds.js';
import type { Tenant } from './tenant.js';

export type { Tenant };

export interface TenantRepository {
  /** @throws CodedError `already_exists` (name or id taken) */
  create(tenant: Tenant): Promise<void>;
  find(id: TenantId): Promise<Tenant | undefined>;
  /** Oldest first. @throws CodedError `invalid_argument` (a cursor that is none) */
  list(page: { limit: number; cursor?: string | undefined }): Promise<Page<Tenant>>;
  /** @throws CodedError `not_found` */
  updateLimits(id: TenantId, limits: TenantLimits): Promise<Tenant>;
  /**
   * With all its keys, runs, builds and their sources, logs and operations; its virtual host is noted in the same step as one to be dropped.
   * @throws CodedError `not_found`, `failed_precondition` while a run, a build or an operation of it is not final
   */
  delete(id: TenantId): Promise<void>;
  /** null until it is assigned. @throws CodedError `not_found` */
  homeNode(id: TenantId): Promise<NodeId | null>;
  /**
   * The home as it is from now on: the one of `candidates` that is home to the fewest tenants, or the one that the tenant has already. Atomic.
   * @throws CodedError `not_found`, `invalid_argument` (no candidates)
   */
  assignHomeNode(id: TenantId, candidates: readonly NodeId[]): Promise<NodeId>;
  /** Hosts of deleted tenants that are still to be removed, oldest first. */
  listDrops(limit: number): Promise<HostDrop[]>;
  /** It is removed. Idempotent. */
  forgetDrop(id: TenantId): Promise<void>;
}

export interface HostDrop {
  readonly tenantId: TenantId;
  readonly nodeId: NodeId;
}

export interface ApiKey {
  readonly id: ApiKeyId;
  /** null: the operator's. */
  readonly tenantId: TenantId | null;
  readonly name: string;
  readonly prefix: string;
  /** sha256 of the key, hex. The key itself is nowhere. */
  readonly hash: string;
  readonly scopes: readonly Scope[];
  readonly createdAt: Date;
  readonly expiresAt: Date | null;
  readonly lastUsedAt: Date | null;
  readonly revokedAt: Date | null;
}

export interface ApiKeyRepository {
  /** @throws CodedError `not_found` (no such tenant), `already_exists` (id or hash taken), `invalid_argument` (the key names another tenant) */
  create(tenantId: TenantId | null, key: ApiKey): Promise<void>;
  /** The key and, when it has one, its tenant. Reads without a tenant: it is what finds the tenant. */
  findByHash(hash: string): Promise<{ key: ApiKey; tenant: Tenant | null } | undefined>;
  /** As `findByHash`, for one that a client certificate names. */
  findById(id: ApiKeyId): Promise<{ key: ApiKey; tenant: Tenant | null } | undefined>;
  /** Oldest first, the revoked ones too. */
  list(tenantId: TenantId | null): Promise<ApiKey[]>;
  /** Idempotent. @throws CodedError `not_found` when it is not that tenant's */
  revoke(tenantId: TenantId | null, id: ApiKeyId, at: Date): Promise<ApiKey>;
  /** Batched: `lastUsedAt` of many keys at once; never moves backwards. */
  touch(uses: ReadonlyMap<ApiKeyId, Date>): Promise<void>;
}

export interface Run {
  readonly id: RunId;
  readonly tenantId: TenantId;
  readonly state: RunState;
  readonly spec: CreateRun;
  readonly labels: Readonly<Record<string, string>>;
  /** Fence: number of the claim that the state came from; 0 before the first. */
  readonly epoch: number;
  readonly nodeId: NodeId | null;
  readonly outcome: RunOutcome | null;
  readonly createdAt: Date;
  readonly startedAt: Date | null;
  readonly finishedAt: Date | null;
  readonly cancelRequestedAt: Date | null;
}

/** A run without what a tenant decides the size of (a spec takes up to 8 MiB, an outcome twice 16): fit for reading many at once. */
export type RunHead = Omit<Run, 'spec' | 'labels' | 'outcome'> & { readonly runtime: string };

export type NewRun = Pick<Run, 'id' | 'spec' | 'createdAt'> & { readonly idempotencyKey?: string | undefined };

export interface RunRepository {
  /**
   * Inserts a queued run. With an idempotency key that the tenant has used before, the earlier run is given back and nothing inserted.
   * @throws CodedError `conflict` when that earlier run has another spec, `not_found` (no such tenant)
   */
  create(tenantId: TenantId, run: NewRun): Promise<{ run: Run; created: boolean }>;
  find(tenantId: TenantId, id: RunId): Promise<Run | undefined>;
  /**
   * Newest first. A page may hold fewer than `limit` and still have a `nextCursor`: it ends early where specs and outcomes
   * together pass 16 MiB. @throws CodedError `invalid_argument` (a cursor or a label that is none)
   */
  list(tenantId: TenantId, query: ListRunsQuery): Promise<Page<Run>>;
  /** Removes a queued run that was refused after its insertion (admission). Any other run is left alone. */
  discard(tenantId: TenantId, id: RunId): Promise<void>;
  /** Sets `cancelRequestedAt` unless final. Gives the row as it is then. @throws CodedError `not_found` */
  requestCancel(tenantId: TenantId, id: RunId, at: Date): Promise<Run>;
  /**
   * queued → running, in one statement for many; for a running one, a higher epoch moves the fence and the node, and `startedAt` stays.
   * Those of an older epoch, repeated or already final are left alone. Returns the ids it changed.
   */
  markStarted(starts: readonly { tenantId: TenantId; id: RunId; nodeId: NodeId; epoch: number; at: Date }[]): Promise<RunId[]>;
  /** → final, in one transaction for many. A final row never changes again; an older epoch is left alone. Returns the runs it changed. */
  markFinished(ends: readonly { tenantId: TenantId; id: RunId; epoch: number; at: Date; outcome: RunOutcome }[]): Promise<RunHead[]>;
  /** For the reconciler: rows of all tenants that are not final, oldest first. */
  listUnfinished(): Promise<RunHead[]>;
  countByState(tenantId: TenantId): Promise<Record<RunState, number>>;
  /** Retention: deletes final runs (and logs) that finished before `before`, at most `limit`. */
  deleteFinishedBefore(before: Date, limit: number): Promise<number>;
}

export interface RunLogRepository {
  /** The whole log of a finished run, compressed. Idempotent: the first one stays. @throws CodedError `not_found` (no such run, or no longer) */
  save(tenantId: TenantId, runId: RunId, frames: readonly LogFrame[]): Promise<void>;
  load(tenantId: TenantId, runId: RunId): Promise<LogFrame[] | undefined>;
}

export interface Operation {
  readonly id: OperationId;
  readonly tenantId: TenantId;
  readonly kind: OperationView['kind'];
  readonly state: OperationView['state'];
  readonly reference: string;
  readonly platform: NonNullable<OperationJob['platform']> | null;
  /** Its credentials are in the job alone. */
  readonly withAuth: boolean;
  /** The tenant's home. */
  readonly nodeId: NodeId;
  readonly requestId: string;
  /** How often a lost job of it was made again. */
  readonly requeued: number;
  readonly outcome: OperationOutcome | null;
  readonly createdAt: Date;
  readonly startedAt: Date | null;
  readonly finishedAt: Date | null;
  readonly cancelRequestedAt: Date | null;
}

export type NewOperation = Pick<Operation, 'id' | 'kind' | 'reference' | 'platform' | 'withAuth' | 'nodeId' | 'requestId' | 'createdAt'>;

/** Pulls and pushes. A final row never changes again. */
export interface OperationRepository {
  /** Inserts it as queued. @throws CodedError `not_found` (no such tenant), `already_exists`, `quota_exceeded` (`maxUnfinished` are not over) */
  create(tenantId: TenantId, operation: NewOperation, options: { readonly maxUnfinished: number }): Promise<Operation>;
  find(tenantId: TenantId, id: OperationId): Promise<Operation | undefined>;
  /** Newest first. @throws CodedError `invalid_argument` (a cursor that is none) */
  list(tenantId: TenantId, query: { readonly limit: number; readonly cursor?: string | undefined; readonly state?: Operation['state'] | undefined }): Promise<Page<Operation>>;
  /** Sets `cancelRequestedAt` unless final or set. Gives the row as it is then. @throws CodedError `not_found` */
  requestCancel(tenantId: TenantId, id: OperationId, at: Date): Promise<Operation>;
  /** queued → running. False when it was not queued. */
  markStarted(tenantId: TenantId, id: OperationId, at: Date): Promise<boolean>;
  /** → final. False when it is final already, or is not there. */
  markFinished(tenantId: TenantId, id: OperationId, at: Date, outcome: OperationOutcome): Promise<boolean>;
  /** Counts one more job that was lost, unless final: false. */
  markRequeued(tenantId: TenantId, id: OperationId): Promise<boolean>;
  /** For the reconciler: those of all tenants that are not final, oldest first. */
  listUnfinished(): Promise<Operation[]>;
  /** Retention: deletes those that finished before, at most `limit`. */
  deleteFinishedBefore(before: Date, limit: number): Promise<number>;
}

/** Every method may also throw CodedError `unavailable` (the database cannot be reached just now). */
export interface Repositories {
  readonly tenants: TenantRepository;
  readonly apiKeys: ApiKeyRepository;
  readonly runs: RunRepository;
  readonly runLogs: RunLogRepository;
  readonly operations: OperationRepository;
  readonly builds: BuildRepository;
  readonly buildLogs: BuildLogRepository;
  readonly buildSources: BuildSourceRepository;
  readonly buildDeliveries: BuildDeliveryRepository;
  /** @throws CodedError `unavailable` */
  ping(): Promise<void>;
  /** Idempotent. */
  close(): Promise<void>;
}

