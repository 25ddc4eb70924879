import { UnrecoverableError, Worker, type Job } from 'bullmq';
import type { Redis } from 'ioredis';
import { runJobSchema, type RunJob } from '#contracts';
import { asError, CodedError, type Logger } from '#kernel';
import type { QueueKeys } from '../connections/keys.js';
import type { RunConsumer } from '../queue.js';
import { NEVER, RUN_QUEUE } from './bull-run-queue.js';
import { FairClock } from './fair-clock.js';

/** A dead worker's lock ends after 5 s; the check that finds the job runs each 2.5 s and needs to see it twice: 10 s at most. */
const LOCK_MS = 5000;
const STALLED_CHECK_MS = 2500;

export interface BullRunConsumerOptions {
  readonly redis: Redis;
  readonly keys: QueueKeys;
  readonly logger: Logger;
  readonly concurrency: number;
}

/** Takes jobs by a BullMQ worker. The connection is the caller's to close. */
export class BullRunConsumer implements RunConsumer {
  private worker: Worker<RunJob, void> | undefined;
  private readonly closing = new AbortController();
  private readonly clock: FairClock;

  constructor(private readonly options: BullRunConsumerOptions) {
    this.clock = new FairClock(options.redis, options.keys, RUN_QUEUE);
  }

  start(handle: (job: RunJob, signal: AbortSignal) => Promise<void>): void {
    if (this.worker !== undefined || this.closing.signal.aborted) throw new CodedError('failed_precondition', 'the consumer was started before');
    const { redis, keys, logger, concurrency } = this.options;
    // BullMQ makes the signal only for processors that declare three parameters.
    const processor = async (job: Job<RunJob, void>, _token?: string, lost?: AbortSignal): Promise<void> => {
      await this.clock.advance(job.id ?? '');
      const parsed = runJobSchema.safeParse(job.data);
      if (!parsed.success) {
        logger.error({ runId: job.id, faults: parsed.error.issues.slice(0, 5).map((issue) => `${issue.path.join('.')}: ${issue.message}`) }, 'a job is malformed and dropped');
        throw new UnrecoverableError('malformed job');
      }
      await handle(parsed.data, lost === undefined ? this.closing.signal : AbortSignal.any([lost, this.closing.signal]));
    };
    const worker = new Worker<RunJob, void>(RUN_QUEUE, processor, {
      connection: redis,
      prefix: keys.bull,
      concurrency,
      lockDuration: LOCK_MS,
      stalledInterval: STALLED_CHECK_MS,
      maxStalledCount: NEVER,
      runRetryDelay: 500,
      skipVersionCheck: true,
      settings: { backoffStrategy: (attempts) => Math.min(100 * 2 ** Math.min(attempts - 1, 6), 5000) },
    });
    worker.on('error', (error) => { logger.warn({ error: error.message }, 'the run consumer reports an error'); });
    worker.on('failed', (job, error) => { logger.warn({ runId: job?.id, attempt: job?.attemptsMade, error: asError(error).message }, 'handling a run failed'); });
    worker.on('lockRenewalFailed', (ids) => { for (const id of ids) worker.cancelJob(id, 'the lock on the job is lost'); });
    this.worker = worker;
  }

  async close(): Promise<void> {
    this.closing.abort(new CodedError('cancelled', 'the consumer closes'));
    await this.worker?.close();
  }
}
