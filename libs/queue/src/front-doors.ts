import type { RedisOptions } from 'ioredis';
import type { BuildFrame, BuildJob, LogFrame, OperationJob } from '#contracts';
import type { BuildId, Logger, NodeId, RunId } from '#kernel';
import { RedisAdmission } from './admission/redis-admission.js';
import { RedisAuthInvalidation } from './auth/redis-auth-invalidation.js';
import { BUILD_FRAMES } from './builds/build-frame-codec.js';
import { RedisRunBell } from './bell/redis-run-bell.js';
import { RedisRunClaims } from './claims/redis-run-claims.js';
import { RedisConnections } from './connections/connections.js';
import { QueueKeys } from './connections/keys.js';
import { coded } from './connections/unavailable.js';
import { RedisNodeEvents } from './events/redis-node-events.js';
import { RedisLogStream } from './logs/redis-log-stream.js';
import { RUN_FRAMES } from './logs/run-frame-codec.js';
import { BullNodeConsumer } from './node-jobs/bull-node-consumer.js';
import { BullNodeQueue } from './node-jobs/bull-node-queue.js';
import { BUILD_JOBS, OPERATION_JOBS } from './node-jobs/node-job-kind.js';
import { RedisNodeRegistry } from './nodes/redis-node-registry.js';
import type { Admission, AuthInvalidation, BuildConsumer, BuildLogStream, BuildQueue, NodeEvents, NodeRegistry, OperationConsumer, OperationProgressStream, OperationQueue, RunBell, RunClaims, RunConsumer, RunLogStream, RunQueue, Tickets } from './queue.js';
import { BullRunConsumer } from './runs/bull-run-consumer.js';
import { BullRunQueue } from './runs/bull-run-queue.js';
import { RedisOperationProgress } from './operations/redis-operation-progress.js';
import { RedisTickets } from './tickets/redis-tickets.js';

const PREFIX = 'sandbar:';

export interface QueuesOptions {
  /** Before every key; ends in a colon. Default `sandbar:`. */
  readonly prefix?: string;
}

/** The gateway's side of Redis. */
export interface ControlQueues {
  readonly runs: RunQueue;
  readonly admission: Admission;
  readonly claims: RunClaims;
  readonly logs: RunLogStream;
  readonly events: NodeEvents;
  readonly bell: RunBell;
  readonly nodes: NodeRegistry;
  readonly tickets: Tickets;
  readonly authInvalidation: AuthInvalidation;
  readonly operations: OperationQueue;
  readonly progress: OperationProgressStream;
  readonly builds: BuildQueue;
  readonly buildLogs: BuildLogStream;
  /** Whether Redis answers, within a second. */
  ping(): Promise<boolean>;
  close(): Promise<void>;
}

/** The worker's side of Redis. */
export interface NodeQueues {
  readonly consumer: RunConsumer;
  readonly progress: OperationProgressStream;
  /** Of that node's own queue. The first call opens it. */
  operations(nodeId: NodeId): OperationConsumer;
  /** Likewise. */
  builds(nodeId: NodeId): BuildConsumer;
  readonly buildLogs: BuildLogStream;
  readonly claims: RunClaims;
  readonly logs: RunLogStream;
  readonly events: NodeEvents;
  readonly nodes: NodeRegistry;
  ping(): Promise<boolean>;
  close(): Promise<void>;
}

/**
 * Opens what a gateway needs. Commands fail with `unavailable` after about a second without Redis, because a client waits for the answer; followers and
 * event consumers wait for it to come back.
 */
export async function createControlQueues(options: RedisOptions, logger: Logger, { prefix = PREFIX }: QueuesOptions = {}): Promise<ControlQueues> {
  const connections = new RedisConnections(options, logger);
  try {
    const redis = connections.connect('control', 'hasty');
    const subscriber = connections.connect('subscriber', 'patient');
    const { keys, logs, buildLogs, events, progress } = common(connections, redis, logger, prefix);
    const runs = new BullRunQueue(redis, keys, logger);
    const operations = new BullNodeQueue(redis, keys, OPERATION_JOBS, logger);
    const builds = new BullNodeQueue(redis, keys, BUILD_JOBS, logger);
    const bell = await RedisRunBell.open(redis, subscriber, keys);
    const authInvalidation = new RedisAuthInvalidation(redis, subscriber, keys, logger);
    return {
      runs: coded(runs),
      operations: coded(operations),
      builds: coded(builds),
      buildLogs: coded(buildLogs),
      progress: coded(progress),
      logs: coded(logs),
      events: coded(events),
      bell: coded(bell),
      authInvalidation: coded(authInvalidation),
      admission: coded(new RedisAdmission(redis, keys)),
      claims: coded(new RedisRunClaims(redis, keys)),
      nodes: coded(new RedisNodeRegistry(redis, keys, logger)),
      tickets: coded(new RedisTickets(redis, keys)),
      ping: () => ping(redis),
      close: async () => {
        await Promise.all([runs.close(), operations.close(), builds.close(), logs.close(), buildLogs.close(), progress.close(), bell.close(), authInvalidation.close()]);
        connections.close();
      },
    };
  } catch (error) {
    connections.close();
    throw error;
  }
}

/** Opens what a worker needs. Commands wait for Redis as long as it takes: what a node has to say is not lost. */
export function createNodeQueues(options: RedisOptions, logger: Logger, { prefix = PREFIX, concurrency }: QueuesOptions & { readonly concurrency: number }): NodeQueues {
  const connections = new RedisConnections(options, logger);
  const redis = connections.connect('node', 'patient');
  const { keys, logs, buildLogs, events, progress } = common(connections, redis, logger, prefix);
  // Of its own: BullMQ's scripts carry payloads of megabytes, and a heartbeat must not stand behind one.
  const consumer = new BullRunConsumer({ redis: connections.connect('node-jobs', 'patient'), keys, logger, concurrency });
  let operations: BullNodeConsumer<OperationJob> | undefined;
  let builds: BullNodeConsumer<BuildJob> | undefined;
  return {
    consumer,
    progress,
    operations: (nodeId) => (operations ??= new BullNodeConsumer({ redis: connections.connect('node-operations', 'patient'), keys, kind: OPERATION_JOBS, logger, nodeId })),
    builds: (nodeId) => (builds ??= new BullNodeConsumer({ redis: connections.connect('node-builds', 'patient'), keys, kind: BUILD_JOBS, logger, nodeId })),
    logs,
    buildLogs,
    events,
    claims: new RedisRunClaims(redis, keys),
    nodes: new RedisNodeRegistry(redis, keys, logger),
    ping: () => ping(redis),
    close: async () => {
      await Promise.all([consumer.close(), operations?.close(), builds?.close()]);
      await Promise.all([logs.close(), buildLogs.close(), progress.close()]);
      connections.close();
    },
  };
}

function common(connections: RedisConnections, redis: ReturnType<RedisConnections['connect']>, logger: Logger, prefix: string) {
  const keys = new QueueKeys(prefix);
  const blocking = (purpose: string) => () => connections.connect(purpose, 'patient');
  return {
    keys,
    logs: new RedisLogStream<RunId, LogFrame>(redis, blocking('logs'), keys, RUN_FRAMES, logger),
    buildLogs: new RedisLogStream<BuildId, BuildFrame>(redis, blocking('build-logs'), keys, BUILD_FRAMES, logger),
    progress: new RedisOperationProgress(redis, blocking('progress'), keys, logger),
    events: new RedisNodeEvents(redis, blocking('events'), keys, logger),
  };
}

async function ping(redis: ReturnType<RedisConnections['connect']>): Promise<boolean> {
  const limit = Promise.withResolvers<boolean>();
  const timer = setTimeout(() => { limit.resolve(false); }, 1000);
  const answered = redis.ping().then(() => true, () => false);
  try {
    return await Promise.race([answered, limit.promise]);
  } finally {
    clearTimeout(timer);
  }
}
