import type { BuildFrame, BuildOutcome, BuildSpec, BuildState, Page } from '#contracts';
import type { BuildId, NodeId, TenantId } from '#kernel';

export interface Build {
  readonly id: BuildId;
  readonly tenantId: TenantId;
  readonly state: BuildState;
  readonly spec: BuildSpec;
  /** The tenant's home. */
  readonly nodeId: NodeId;
  /** Executed while its client listens: there is no job. */
  readonly attached: boolean;
  readonly requestId: string;
  /** How often a lost job of it was made again. */
  readonly requeued: number;
  readonly outcome: BuildOutcome | null;
  readonly createdAt: Date;
  readonly startedAt: Date | null;
  readonly finishedAt: Date | null;
  readonly cancelRequestedAt: Date | null;
}

/** `specHash`: of the request, to tell a repeated idempotency key's from another one. */
export type NewBuild = Pick<Build, 'id' | 'spec' | 'nodeId' | 'attached' | 'requestId' | 'createdAt'> & { readonly specHash: Buffer; readonly idempotencyKey?: string | undefined };

/** A final row never changes again. */
export interface BuildRepository {
  /**
   * Inserts it as queued, an attached one as running. With an idempotency key that the tenant has used before, the earlier build is given back and nothing inserted.
   * @throws CodedError `conflict` (that earlier build is of another request), `not_found` (no such tenant), `already_exists`, `quota_exceeded` (`maxUnfinished` are not over)
   */
  create(tenantId: TenantId, build: NewBuild, options: { readonly maxUnfinished: number }): Promise<{ build: Build; created: boolean }>;
  /** The build that the key was used for. @throws CodedError `conflict` when it is of another request */
  findByKey(tenantId: TenantId, idempotencyKey: string, specHash: Buffer): Promise<Build | undefined>;
  find(tenantId: TenantId, id: BuildId): Promise<Build | undefined>;
  /** Newest first. @throws CodedError `invalid_argument` (a cursor that is none) */
  list(tenantId: TenantId, query: { readonly limit: number; readonly cursor?: string | undefined; readonly state?: BuildState | undefined }): Promise<Page<Build>>;
  countUnfinished(tenantId: TenantId): Promise<number>;
  /** Sets `cancelRequestedAt` unless final or set. Gives the row as it is then. @throws CodedError `not_found` */
  requestCancel(tenantId: TenantId, id: BuildId, at: Date): Promise<Build>;
  /** queued → running. False when it was not queued. */
  markStarted(tenantId: TenantId, id: BuildId, at: Date): Promise<boolean>;
  /** → final. False when it is final already, or is not there. */
  markFinished(tenantId: TenantId, id: BuildId, at: Date, outcome: BuildOutcome): Promise<boolean>;
  /** Counts one more job that was lost, unless final: false. */
  markRequeued(tenantId: TenantId, id: BuildId): Promise<boolean>;
  /** For the reconciler: those of all tenants that are not final, oldest first. */
  listUnfinished(): Promise<Build[]>;
  /** Retention: deletes those (and their logs) that finished before, at most `limit`. */
  deleteFinishedBefore(before: Date, limit: number): Promise<number>;
}

export interface BuildLogRepository {
  /** The whole log of a finished build, compressed. Idempotent: the first one stays. @throws CodedError `not_found` (no such build, or no longer) */
  save(tenantId: TenantId, buildId: BuildId, frames: readonly BuildFrame[]): Promise<void>;
  load(tenantId: TenantId, buildId: BuildId): Promise<BuildFrame[] | undefined>;
}
