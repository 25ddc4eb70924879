import { runJobSchema, type NodeEvent, type OutputFrame, type RunJob } from '#contracts';
import { newId, type Logger, type NodeId, type RunId, type TenantId } from '#kernel';
import { startTestRedis, type TestRedis } from '#testing';
import { createControlQueues, createNodeQueues, type ControlQueues, type NodeQueues } from './front-doors.js';

/** What the suites of this library stand on: a Redis of their own and both front doors. */
export interface QueueFixture {
  readonly server: TestRedis;
  readonly control: ControlQueues;
  readonly node: NodeQueues;
  close(): Promise<void>;
}

export async function openFixture({ appendOnly = false, concurrency = 4, logger = quiet }: { appendOnly?: boolean; concurrency?: number; logger?: Logger } = {}): Promise<QueueFixture> {
  const server = await startTestRedis({ appendOnly });
  const control = await createControlQueues(server.options, logger);
  const node = createNodeQueues(server.options, logger, { concurrency });
  return {
    server,
    control,
    node,
    close: async () => {
      await Promise.all([control.close(), node.close()]);
      await server.stop();
    },
  };
}

export const quiet: Logger = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined };

export function runJob(tenantId: TenantId, runId: RunId = newId('run')): RunJob {
  return runJobSchema.parse({ runId, tenantId, requestId: newId('request'), spec: { runtime: 'bash', code: 'true' }, tenantLimits: {
    concurrentRuns: 16, queuedRuns: 1000, requestsPerSecond: 100, requestBurst: 200, memoryBytes: 4_294_967_296, cpuMillis: 16_000, pids: 8192,
  } });
}

export function output(seq: number, data = `line ${seq}\n`): OutputFrame {
  return { seq, type: 'output', step: 'run', stream: seq % 2 === 0 ? 'stderr' : 'stdout', data, encoding: 'utf8', time: 1_700_000_000_000 + seq };
}

export function end(seq: number) {
  return { seq, type: 'end', state: 'succeeded', exitCode: 0, signal: null, time: 1_700_000_000_000 + seq } as const;
}

export function started(runId: RunId, nodeId: NodeId, epoch = 1): NodeEvent {
  return { type: 'run.started', runId, tenantId: newId('tenant'), nodeId, epoch, time: Date.now() };
}

/** Waits until `done`, at most `ms`. */
export async function until(done: () => boolean | Promise<boolean>, ms = 5000): Promise<void> {
  const limit = Date.now() + ms;
  while (!(await done())) {
    if (Date.now() > limit) throw new Error(`not so within ${ms} ms`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}
