import { DelayedError, UnrecoverableError, Worker, type Job } from 'bullmq';
import type { Redis } from 'ioredis';
import { asError, CodedError, type Logger, type NodeId } from '#kernel';
import type { QueueKeys } from '../connections/keys.js';
import type { NodeJobConsumer } from '../queue.js';
import { FairClock } from '../runs/fair-clock.js';
import { NEVER } from './bull-node-queue.js';
import { nodeQueueName, type NodeJobKind } from './node-job-kind.js';

/** A dead worker's lock ends after 5 s; the check that finds the job runs each 2.5 s and needs to see it twice: 10 s at most. */
const LOCK_MS = 5000;
const STALLED_CHECK_MS = 2500;
/** A job whose tenant has its share running makes room for others this long; longer each time, so that a long line costs little. */
const BACK_MS = { first: 250, most: 5000 };

export interface BullNodeConsumerOptions<J> {
  readonly redis: Redis;
  readonly keys: QueueKeys;
  readonly kind: NodeJobKind<J>;
  readonly logger: Logger;
  readonly nodeId: NodeId;
}

/** Takes the node's jobs by a BullMQ worker, no more of a tenant at once than it may have. The connection is the caller's to close. */
export class BullNodeConsumer<J extends object> implements NodeJobConsumer<J> {
  private worker: Worker<J, void> | undefined;
  private readonly closing = new AbortController();
  private readonly running = new Map<string, number>();

  constructor(private readonly options: BullNodeConsumerOptions<J>) {}

  start(handle: (job: J, signal: AbortSignal) => Promise<void>, room: (job: J) => boolean = () => true): void {
    if (this.worker !== undefined || this.closing.signal.aborted) throw new CodedError('failed_precondition', 'the consumer was started before');
    const { redis, keys, kind, logger, nodeId } = this.options;
    const name = nodeQueueName(kind, nodeId);
    const clock = new FairClock(redis, keys, name);
    // BullMQ makes the signal only for processors that declare three parameters.
    const processor = async (job: Job<J, void>, token?: string, lost?: AbortSignal): Promise<void> => {
      await clock.advance(job.id ?? '');
      const parsed = kind.parse(job.data);
      if (!parsed.success) {
        logger.error({ jobId: job.id, kind: kind.name, faults: parsed.error.issues.slice(0, 5).map((issue) => issue.path.join('.')) }, 'a job is malformed and dropped');
        throw new UnrecoverableError('malformed job');
      }
      const { data } = parsed;
      if (!room(data) || (this.running.get(kind.tenantOf(data)) ?? 0) >= kind.shareOf(data)) await makeRoom(job, token);
      await this.counted(kind.tenantOf(data), () => handle(data, lost === undefined ? this.closing.signal : AbortSignal.any([lost, this.closing.signal])));
    };
    const worker = new Worker<J, void>(name, processor, {
      connection: redis,
      prefix: keys.bull,
      concurrency: kind.atOnce,
      lockDuration: LOCK_MS,
      stalledInterval: STALLED_CHECK_MS,
      maxStalledCount: NEVER,
      runRetryDelay: 500,
      skipVersionCheck: true,
      settings: { backoffStrategy: (attempts) => Math.min(500 * 2 ** Math.min(attempts - 1, 6), 10_000) },
    });
    worker.on('error', (error) => { logger.warn({ kind: kind.name, error: error.message }, 'the consumer of a node reports an error'); });
    worker.on('failed', (job, error) => { logger.warn({ jobId: job?.id, kind: kind.name, attempt: job?.attemptsMade, error: asError(error).message }, 'handling a job of the node failed'); });
    worker.on('lockRenewalFailed', (ids) => { for (const id of ids) worker.cancelJob(id, 'the lock on the job is lost'); });
    this.worker = worker;
  }

  async close(): Promise<void> {
    this.closing.abort(new CodedError('unavailable', 'the node is shutting down'));
    await this.worker?.close();
  }

  /** The queue is the node's alone, so what runs here is all that the tenant has running. */
  private async counted(tenant: string, work: () => Promise<void>): Promise<void> {
    this.running.set(tenant, (this.running.get(tenant) ?? 0) + 1);
    try {
      await work();
    } finally {
      const left = (this.running.get(tenant) ?? 1) - 1;
      if (left <= 0) this.running.delete(tenant);
      else this.running.set(tenant, left);
    }
  }
}

async function makeRoom(job: Job, token: string | undefined): Promise<never> {
  const age = Math.max(0, Date.now() - job.timestamp);
  await job.moveToDelayed(Date.now() + Math.min(BACK_MS.most, Math.max(BACK_MS.first, age / 4)), token);
  throw new DelayedError();
}
