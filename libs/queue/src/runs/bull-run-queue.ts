import { Queue } from 'bullmq';
import type { Redis } from 'ioredis';
import type { RunJob } from '#contracts';
import type { Logger, RunId } from '#kernel';
import type { QueueKeys } from '../connections/keys.js';
import type { RunQueue } from '../queue.js';
import { FairClock } from './fair-clock.js';

export const RUN_QUEUE = 'runs';
const WAITING_STATES = new Set(['waiting', 'prioritized', 'delayed']);
/** A hint is never given up: whether it is still wanted is the claim's to say. */
export const NEVER = 1_000_000_000;

/** A BullMQ queue whose priorities are virtual start times (`FairClock`). The connection is the caller's to close. */
export class BullRunQueue implements RunQueue {
  private readonly queue: Queue<RunJob, void, 'run'>;
  private readonly clock: FairClock;

  constructor(
    private readonly redis: Redis,
    keys: QueueKeys,
    logger: Logger,
    horizon?: number,
  ) {
    this.clock = new FairClock(redis, keys, RUN_QUEUE, horizon);
    this.queue = new Queue(RUN_QUEUE, { connection: redis, prefix: keys.bull, skipVersionCheck: true, streams: { events: { maxLen: 100 } } });
    this.queue.on('error', (error) => { logger.warn({ error: error.message }, 'the run queue reports an error'); });
  }

  async enqueue(job: RunJob): Promise<void> {
    const start = await this.clock.nextStart(job.tenantId, job.runId);
    if (start.priority === 0) return;
    const added = await this.queue.add('run', job, {
      jobId: job.runId,
      priority: start.priority,
      attempts: NEVER,
      backoff: { type: 'custom' },
      removeOnComplete: true,
      removeOnFail: true,
      stackTraceLimit: 1,
    });
    const priority = await this.clock.current(start);
    if (priority !== start.priority && (await this.has(job.runId as RunId))) await added.changePriority({ priority });
  }

  async remove(runId: RunId): Promise<boolean> {
    if (!WAITING_STATES.has(await this.queue.getJobState(runId))) return false;
    return (await this.queue.remove(runId)) === 1;
  }

  async has(runId: RunId): Promise<boolean> {
    return (await this.redis.exists(this.clock.jobKey(runId))) === 1;
  }

  async depth(): Promise<{ waiting: number; active: number }> {
    const counts = await this.queue.getJobCounts('waiting', 'prioritized', 'delayed', 'active');
    return { waiting: (counts['waiting'] ?? 0) + (counts['prioritized'] ?? 0) + (counts['delayed'] ?? 0), active: counts['active'] ?? 0 };
  }

  async close(): Promise<void> {
    await this.queue.close();
  }
}
