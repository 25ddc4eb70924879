import { DelayedError, UnrecoverableError, Worker, type Job } from 'bullmq';
import type { Redis } from 'ioredis';
import { operationJobSchema, type OperationJob } from '#contracts';
import { asError, CodedError, type Logger, type NodeId } from '#kernel';
import type { QueueKeys } from '../connections/keys.js';
import type { OperationConsumer } from '../queue.js';
import { NEVER, operationQueueName } from './bull-operation-queue.js';

/** A dead worker's lock ends after 5 s; the check that finds the job runs each 2.5 s and needs to see it twice: 10 s at most. */
const LOCK_MS = 5000;
const STALLED_CHECK_MS = 2500;
/** Operations of all tenants at once. */
const CONCURRENCY = 8;
/** A job whose tenant has its share running makes room for others this long; longer each time, so that a long line costs little. */
const BACK_MS = { first: 250, most: 5000 };

export interface BullOperationConsumerOptions {
  readonly redis: Redis;
  readonly keys: QueueKeys;
  readonly logger: Logger;
  readonly nodeId: NodeId;
}

/** Takes the node's jobs by a BullMQ worker, no more of a tenant at once than it may have. The connection is the caller's to close. */
export class BullOperationConsumer implements OperationConsumer {
  private worker: Worker<OperationJob, void> | undefined;
  private readonly closing = new AbortController();
  private readonly running = new Map<string, number>();

  constructor(private readonly options: BullOperationConsumerOptions) {}

  start(handle: (job: OperationJob, signal: AbortSignal) => Promise<void>): void {
    if (this.worker !== undefined || this.closing.signal.aborted) throw new CodedError('failed_precondition', 'the consumer was started before');
    const { redis, keys, logger, nodeId } = this.options;
    // BullMQ makes the signal only for processors that declare three parameters.
    const processor = async (job: Job<OperationJob, void>, token?: string, lost?: AbortSignal): Promise<void> => {
      const parsed = operationJobSchema.safeParse(job.data);
      if (!parsed.success) {
        logger.error({ operationId: job.id, faults: parsed.error.issues.slice(0, 5).map((issue) => issue.path.join('.')) }, 'a job is malformed and dropped');
        throw new UnrecoverableError('malformed job');
      }
      await this.within(parsed.data, job, token, () => handle(parsed.data, lost === undefined ? this.closing.signal : AbortSignal.any([lost, this.closing.signal])));
    };
    const worker = new Worker<OperationJob, void>(operationQueueName(nodeId), processor, {
      connection: redis,
      prefix: keys.bull,
      concurrency: CONCURRENCY,
      lockDuration: LOCK_MS,
      stalledInterval: STALLED_CHECK_MS,
      maxStalledCount: NEVER,
      runRetryDelay: 500,
      skipVersionCheck: true,
      settings: { backoffStrategy: (attempts) => Math.min(500 * 2 ** Math.min(attempts - 1, 6), 10_000) },
    });
    worker.on('error', (error) => { logger.warn({ error: error.message }, 'the operation consumer reports an error'); });
    worker.on('failed', (job, error) => { logger.warn({ operationId: job?.id, attempt: job?.attemptsMade, error: asError(error).message }, 'handling an operation failed'); });
    worker.on('lockRenewalFailed', (ids) => { for (const id of ids) worker.cancelJob(id, 'the lock on the job is lost'); });
    this.worker = worker;
  }

  async close(): Promise<void> {
    this.closing.abort(new CodedError('unavailable', 'the node is shutting down'));
    await this.worker?.close();
  }

  /** The queue is the node's alone, so what runs here is all that the tenant has running. */
  private async within(operation: OperationJob, job: Job<OperationJob, void>, token: string | undefined, work: () => Promise<void>): Promise<void> {
    const { tenantId, concurrentOperations } = operation;
    const running = this.running.get(tenantId) ?? 0;
    if (running >= concurrentOperations) {
      const age = Math.max(0, Date.now() - job.timestamp);
      await job.moveToDelayed(Date.now() + Math.min(BACK_MS.most, Math.max(BACK_MS.first, age / 4)), token);
      throw new DelayedError();
    }
    this.running.set(tenantId, running + 1);
    try {
      await work();
    } finally {
      const left = (this.running.get(tenantId) ?? 1) - 1;
      if (left <= 0) this.running.delete(tenantId);
      else this.running.set(tenantId, left);
    }
  }
}
