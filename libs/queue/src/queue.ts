import type { BuildFrame, BuildJob, LogFrame, NodeEvent, NodeHeartbeat, OperationJob, OperationProgress, ProgressLine, RunJob, TenantLimits } from '#contracts';
import type { BuildId, NodeId, OperationId, RunId, TenantId } from '#kernel';

/**
 * What gateway and worker share in Redis. Rows in PostgreSQL are the truth; everything here may be lost or come twice, and the
 * reconciler (gateway) repairs it from the rows.
 */

/** The BullMQ queue `runs`, fair between tenants: a job's priority is its tenant's virtual start time. */
export interface RunQueue {
  /** Idempotent by `runId` (the job id). */
  enqueue(job: RunJob): Promise<void>;
  /** Takes a waiting job away. False when it is not waiting (taken, done, or never there). */
  remove(runId: RunId): Promise<boolean>;
  /** Whether a job of that run waits or is being worked on. */
  has(runId: RunId): Promise<boolean>;
  depth(): Promise<{ waiting: number; active: number }>;
  close(): Promise<void>;
}

/** The worker's side: calls `handle` for each job, `concurrency` at a time. A job whose worker died comes again within 10 s. */
export interface RunConsumer {
  /** `signal` fires when the lock on the job is lost or the consumer closes. */
  start(handle: (job: RunJob, signal: AbortSignal) => Promise<void>): void;
  /** Stops taking jobs; resolves when those in hand are over. */
  close(): Promise<void>;
}

/** How many runs of a tenant execute and wait, decided in one atomic step (Lua). */
export interface Admission {
  /**
   * Idempotent by run. `dispatch`: enqueue it now. `wait`: it stands in the tenant's line until `release` names it.
   * @throws CodedError `quota_exceeded` when the line is full.
   */
  admit(tenantId: TenantId, runId: RunId, limits: Pick<TenantLimits, 'concurrentRuns' | 'queuedRuns'>): Promise<'dispatch' | 'wait'>;
  /** A run is over (or was cancelled while it waited). Names the runs whose turn it is now. Idempotent. */
  release(tenantId: TenantId, runId: RunId, limits: Pick<TenantLimits, 'concurrentRuns'>): Promise<RunId[]>;
  /** Makes line and executing set agree with the rows: `executing` and `waiting` (oldest first) as PostgreSQL has them. Names runs to enqueue. */
  repair(tenantId: TenantId, rows: { executing: readonly RunId[]; waiting: readonly RunId[] }, limits: Pick<TenantLimits, 'concurrentRuns'>): Promise<RunId[]>;
  counts(tenantId: TenantId): Promise<{ executing: number; waiting: number }>;
  forget(tenantId: TenantId): Promise<void>;
}

export interface Claim {
  readonly nodeId: NodeId;
  readonly incarnation: string;
  /** Rises with each claim of the run: the fence for its events. */
  readonly epoch: number;
  /** `taken`: nothing of it has been executed, another may take it. `started`: user code may have run. */
  readonly phase: 'taken' | 'started';
}

/** Who executes a run: at most one, at any time, decided by Redis. */
export interface RunClaims {
  /**
   * Undefined when the run is not to be executed by the caller: cancelled, finished, started, or taken by a live other. A `taken`
   * claim of a node whose heartbeat is gone or whose incarnation has changed is taken over with the next epoch.
   */
  take(runId: RunId, by: { nodeId: NodeId; incarnation: string }): Promise<Claim | undefined>;
  /** False when the claim is no longer the caller's: it must not start. */
  start(runId: RunId, epoch: number): Promise<boolean>;
  /** A restarted worker goes on with a run it had started before. False when the claim is another's or finished. */
  adopt(runId: RunId, epoch: number, by: { nodeId: NodeId; incarnation: string }): Promise<boolean>;
  /** Nobody may take it from now on (final row written, or lost). Returns the claim as it was. Kept for an hour. */
  finish(runId: RunId): Promise<Claim | undefined>;
  /**
   * As `finish`, but only while the claim is as `seen` (undefined: there is none), in one atomic step: false when a worker has taken
   * or adopted the run since. With `nodeGone`, also false when the node of the claim beats again under the same incarnation.
   */
  finishIfUnchanged(runId: RunId, seen: Claim | undefined, options?: { readonly nodeGone?: boolean }): Promise<boolean>;
  /** Atomic: true and nobody will ever start it; false when it is `started` (then ask its node). */
  cancelUnlessStarted(runId: RunId): Promise<boolean>;
  get(runId: RunId): Promise<Claim | undefined>;
  /** When the claim was taken (the newest one), by Redis' clock; undefined when nobody ever took it. */
  takenAt(runId: RunId): Promise<Date | undefined>;
}

/** A log of numbered frames, a Redis stream whose entry ids are the frames' `seq`, so that writing twice stores once. What writes it keeps it bounded. */
export interface LogStream<I, F> {
  /**
   * Frames in order. Those that are there already are skipped; a frame after the end frame is refused silently. `checkpoint` (the
   * writer's own words) replaces the one before it **in the same atomic step** as the frames are written, also when there are none;
   * when frames were given and none of them was written, it is refused with them.
   */
  append(id: I, frames: readonly F[], checkpoint?: string): Promise<void>;
  /** The last frame's number (0: none yet) and the checkpoint, for a worker that takes the work up again. */
  last(id: I): Promise<{ seq: number; ended: boolean; checkpoint: string | undefined } | undefined>;
  /** Frames after `after`, then those to come, until the end frame or `signal`. Ends without an end frame when the stream is gone. */
  follow(id: I, after: number, signal: AbortSignal): AsyncIterable<F>;
  /** Everything that is there now. */
  readAll(id: I): Promise<F[]>;
  /** The log is in PostgreSQL: Redis may drop it after a grace time (followers finish). */
  expire(id: I, seconds: number): Promise<void>;
  delete(id: I): Promise<void>;
}
export type RunLogStream = LogStream<RunId, LogFrame>;
export type BuildLogStream = LogStream<BuildId, BuildFrame>;

/** Node → control side, a Redis stream with one consumer group. */
export interface NodeEvents {
  publish(event: NodeEvent): Promise<void>;
  /** At least once, in batches; unacknowledged ones of a dead consumer are claimed after 5 s. Runs until `signal`. */
  consume(consumer: string, handle: (batch: readonly NodeEvent[]) => Promise<void>, signal: AbortSignal): Promise<void>;
}

/** Rings when a run's final row is written. Missing a ring is harmless: waiters look at the row too. */
export interface RunBell {
  ring(runId: RunId): Promise<void>;
  /** Resolves true when it rings, false at the time limit or on `signal`. Arm it before looking at the row. */
  arm(runId: RunId): { wait(timeoutMs: number, signal?: AbortSignal): Promise<boolean>; disarm(): void };
  close(): Promise<void>;
}

/** Jobs that one node alone can do: a BullMQ queue `<kind>s-<node id>` for each node, fair between tenants as `RunQueue` is. */
export interface NodeJobQueue<J, I> {
  /** Idempotent by what the job is of (the job id). */
  enqueue(nodeId: NodeId, job: J): Promise<void>;
  /** Takes a waiting job away. False when it is not waiting (taken, done, or never there). */
  remove(nodeId: NodeId, id: I): Promise<boolean>;
  /** Whether a job of that id waits or is being worked on. */
  has(nodeId: NodeId, id: I): Promise<boolean>;
  close(): Promise<void>;
}
/** Pulls and pushes. */
export type OperationQueue = NodeJobQueue<OperationJob, OperationId>;
export type BuildQueue = NodeJobQueue<BuildJob, BuildId>;

/** The node's side: 8 at a time, of a tenant at most its share; in order, except that a tenant with its share running makes room for others. */
export interface NodeJobConsumer<J> {
  /**
   * `signal` fires when the lock on the job is lost or the consumer closes. What `handle` throws makes the job come again, later each time.
   * `room`: false makes it come again too, when the tenant's share is taken by work that no job stands for.
   */
  start(handle: (job: J, signal: AbortSignal) => Promise<void>, room?: (job: J) => boolean): void;
  /** Aborts what is in hand (it comes again with the next start); resolves when that is over. */
  close(): Promise<void>;
}
export type OperationConsumer = NodeJobConsumer<OperationJob>;
export type BuildConsumer = NodeJobConsumer<BuildJob>;

/** What an operation says of its progress: numbered from 1, bounded, gone an hour after its end. */
export interface OperationProgressStream {
  /** Numbers go on from the last line's. After an end nothing is stored. `end`: the last of these lines is the end. */
  append(id: OperationId, lines: readonly ProgressLine[], options?: { readonly end?: boolean }): Promise<void>;
  last(id: OperationId): Promise<OperationProgress | undefined>;
  /** Lines after `after`, then those to come, until the end (given in any case) or `signal`. Finishes without an end when the stream is gone. */
  follow(id: OperationId, after: number, signal: AbortSignal): AsyncIterable<OperationProgress>;
}

export interface NodeRegistry {
  /** To be said every 2 s; forgotten after 6 s. */
  beat(heartbeat: NodeHeartbeat): Promise<void>;
  list(): Promise<NodeHeartbeat[]>;
  get(nodeId: NodeId): Promise<NodeHeartbeat | undefined>;
  leave(nodeId: NodeId): Promise<void>;
}

/** One-use tickets for WebSockets from browsers. */
export interface Tickets {
  issue(subject: string, ttlSeconds: number): Promise<{ ticket: string; expiresAt: Date }>;
  /** Atomic: a ticket is good once. */
  redeem(ticket: string): Promise<string | undefined>;
}

/** Tells every gateway that cached identities of a key or a tenant are stale. */
export interface AuthInvalidation {
  announce(subject: string): Promise<void>;
  subscribe(listener: (subject: string) => void): Promise<void>;
  close(): Promise<void>;
}
