import { Queue } from 'bullmq';
import type { Redis } from 'ioredis';
import type { OperationJob } from '#contracts';
import type { Logger, NodeId, OperationId } from '#kernel';
import type { QueueKeys } from '../connections/keys.js';
import type { OperationQueue } from '../queue.js';

const WAITING_STATES = new Set(['waiting', 'prioritized', 'delayed']);
const GONE_STATES = new Set(['unknown', 'completed', 'failed']);
/** A hint is never given up: whether it is still wanted is the row's to say. */
export const NEVER = 1_000_000_000;

/** Each node has its own: what is at home there can be done nowhere else. */
export function operationQueueName(nodeId: NodeId): string {
  return `operations-${nodeId}`;
}

/** One BullMQ queue a node, opened when it is first needed. The connection is the caller's to close. */
export class BullOperationQueue implements OperationQueue {
  private readonly queues = new Map<NodeId, Queue<OperationJob, void, 'operation'>>();

  constructor(
    private readonly redis: Redis,
    private readonly keys: QueueKeys,
    private readonly logger: Logger,
  ) {}

  async enqueue(nodeId: NodeId, job: OperationJob): Promise<void> {
    await this.queue(nodeId).add('operation', job, {
      jobId: job.operationId,
      attempts: NEVER,
      backoff: { type: 'custom' },
      removeOnComplete: true,
      removeOnFail: true,
      stackTraceLimit: 1,
    });
  }

  async remove(nodeId: NodeId, id: OperationId): Promise<boolean> {
    if (!WAITING_STATES.has(await this.queue(nodeId).getJobState(id))) return false;
    return (await this.queue(nodeId).remove(id)) === 1;
  }

  async has(nodeId: NodeId, id: OperationId): Promise<boolean> {
    return !GONE_STATES.has(await this.queue(nodeId).getJobState(id));
  }

  async close(): Promise<void> {
    await Promise.all([...this.queues.values()].map((queue) => queue.close()));
  }

  private queue(nodeId: NodeId): Queue<OperationJob, void, 'operation'> {
    const known = this.queues.get(nodeId);
    if (known !== undefined) return known;
    const queue = new Queue<OperationJob, void, 'operation'>(operationQueueName(nodeId), { connection: this.redis, prefix: this.keys.bull, skipVersionCheck: true, streams: { events: { maxLen: 100 } } });
    queue.on('error', (error) => { this.logger.warn({ nodeId, error: error.message }, 'an operation queue reports an error'); });
    this.queues.set(nodeId, queue);
    return queue;
  }
}
