import { Queue } from 'bullmq';
import type { Redis } from 'ioredis';
import type { Logger, NodeId } from '#kernel';
import type { QueueKeys } from '../connections/keys.js';
import type { NodeJobQueue } from '../queue.js';
import { FairClock } from '../runs/fair-clock.js';
import { nodeQueueName, type NodeJobKind } from './node-job-kind.js';

const WAITING_STATES = new Set(['waiting', 'prioritized', 'delayed']);
const GONE_STATES = new Set(['unknown', 'completed', 'failed']);
/** A hint is never given up: whether it is still wanted is the row's to say. */
export const NEVER = 1_000_000_000;

interface NodeQueue<J> {
  readonly jobs: Queue<J, void>;
  readonly clock: FairClock;
}

/** One BullMQ queue a node, opened when it is first needed, its priorities virtual start times (`FairClock`). The connection is the caller's to close. */
export class BullNodeQueue<J extends object, I extends string> implements NodeJobQueue<J, I> {
  private readonly queues = new Map<NodeId, NodeQueue<J>>();

  constructor(
    private readonly redis: Redis,
    private readonly keys: QueueKeys,
    private readonly kind: NodeJobKind<J>,
    private readonly logger: Logger,
  ) {}

  async enqueue(nodeId: NodeId, job: J): Promise<void> {
    const { jobs, clock } = this.queue(nodeId);
    const id = this.kind.idOf(job);
    const start = await clock.nextStart(this.kind.tenantOf(job), id);
    if (start.priority === 0) return;
    const options = { jobId: id, priority: start.priority, attempts: NEVER, backoff: { type: 'custom' }, removeOnComplete: true, removeOnFail: true, stackTraceLimit: 1 };
    const added = await (jobs as Queue).add(this.kind.name, job, options);
    const priority = await clock.current(start);
    if (priority !== start.priority && (await this.has(nodeId, id as I))) await added.changePriority({ priority });
  }

  async remove(nodeId: NodeId, id: I): Promise<boolean> {
    const { jobs } = this.queue(nodeId);
    if (!WAITING_STATES.has(await jobs.getJobState(id))) return false;
    return (await jobs.remove(id)) === 1;
  }

  async has(nodeId: NodeId, id: I): Promise<boolean> {
    return !GONE_STATES.has(await this.queue(nodeId).jobs.getJobState(id));
  }

  async close(): Promise<void> {
    await Promise.all([...this.queues.values()].map(({ jobs }) => jobs.close()));
  }

  private queue(nodeId: NodeId): NodeQueue<J> {
    const known = this.queues.get(nodeId);
    if (known !== undefined) return known;
    const name = nodeQueueName(this.kind, nodeId);
    const jobs = new Queue<J, void, string>(name, { connection: this.redis, prefix: this.keys.bull, skipVersionCheck: true, streams: { events: { maxLen: 100 } } });
    jobs.on('error', (error) => { this.logger.warn({ queue: name, error: error.message }, 'the queue of a node reports an error'); });
    const queue = { jobs, clock: new FairClock(this.redis, this.keys, name) };
    this.queues.set(nodeId, queue);
    return queue;
  }
}
