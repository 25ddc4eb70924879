import { randomUUID } from 'node:crypto';
import { createServer, type Server } from 'node:http';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { NodeEvent, NodeHeartbeat, RunJob, RunOutcome } from '#contracts';
import { newId, silentLogger, type NodeId, type RunId } from '#kernel';
import { createNodeQueues, type Claim, type NodeQueues } from '#queue';
import { anOutcome } from '#testing';

/** What a run does on the simulated node, between its claim and its reported end. */
export type Behaviour = (run: { job: RunJob; claim: Claim; node: SimulatedNode; cancelled: AbortSignal }) => Promise<RunOutcome | 'vanish'>;

export const NODE_TOKEN = 'a-token-of-the-tests-only';

/** Stands for a worker process: takes claims, writes logs and publishes events over the real queues, executes nothing. */
export class SimulatedNode {
  readonly nodeId: NodeId;
  readonly incarnation = randomUUID();
  readonly runIds = new Set<string>();
  readonly calls: { path: string; body: unknown }[] = [];
  ready = true;
  behaviour: Behaviour = printsFortyTwo;
  private readonly cancels = new Map<string, AbortController>();
  /** As the gateway's clock counts. */
  private startedAt = Date.now();
  private timer: NodeJS.Timeout | undefined;
  private lastBeat: Promise<void> = Promise.resolve();
  private server: Server | undefined;
  private folder = '';

  private constructor(readonly queues: NodeQueues, nodeId: NodeId) {
    this.nodeId = nodeId;
  }

  static async start(redis: { path: string }, options: { nodeId?: NodeId; behaviour?: Behaviour; startedAt?: number; ready?: boolean } = {}): Promise<SimulatedNode> {
    const node = new SimulatedNode(createNodeQueues(redis, silentLogger, { concurrency: 8 }), options.nodeId ?? newId('node'));
    if (options.behaviour !== undefined) node.behaviour = options.behaviour;
    node.startedAt = options.startedAt ?? node.startedAt;
    node.ready = options.ready ?? true;
    await node.listen();
    await node.beat();
    node.timer = setInterval(() => void (node.lastBeat = node.beat()), 500);
    node.queues.consumer.start((job) => node.take(job));
    return node;
  }

  async beat(): Promise<void> {
    await this.queues.nodes.beat(this.heartbeat());
  }

  /** As kill -9: no goodbye, the heartbeat is let expire by deleting it. */
  async vanish(): Promise<void> {
    await this.end();
    // The key would expire by itself after 6 s.
    const other = createNodeQueues(this.redisOptions, silentLogger, { concurrency: 1 });
    await other.nodes.leave(this.nodeId);
    await other.close();
  }

  async stop(): Promise<void> {
    await this.fallSilent();
    await this.queues.nodes.leave(this.nodeId);
    await this.end();
  }

  publish(event: NodeEvent): Promise<void> {
    return this.queues.events.publish(event);
  }

  event(job: Pick<RunJob, 'runId' | 'tenantId'>, claim: Pick<Claim, 'epoch'>) {
    return { runId: job.runId, tenantId: job.tenantId, nodeId: this.nodeId, epoch: claim.epoch, time: Date.now() };
  }

  redisOptions: { path: string } = { path: '' };

  /** A heartbeat that is still under way would enter the node again behind its goodbye. */
  private async fallSilent(): Promise<void> {
    clearInterval(this.timer);
    await this.lastBeat;
  }

  private async end(): Promise<void> {
    await this.fallSilent();
    for (const controller of this.cancels.values()) controller.abort();
    this.server?.closeAllConnections();
    this.server?.close();
    await this.queues.close();
    await rm(this.folder, { recursive: true, force: true });
  }

  private async take(job: RunJob): Promise<void> {
    const runId = job.runId as RunId;
    const claim = await this.queues.claims.take(runId, this);
    if (claim === undefined) return;
    this.runIds.add(runId);
    const cancelled = new AbortController();
    this.cancels.set(runId, cancelled);
    const outcome = await this.behaviour({ job, claim, node: this, cancelled: cancelled.signal });
    if (outcome === 'vanish') return;
    await this.publish({ type: 'run.finished', ...this.event(job, claim), outcome });
    this.runIds.delete(runId);
  }

  private async listen(): Promise<void> {
    this.folder = await mkdtemp(join(tmpdir(), 'gateway-node-'));
    this.server = createServer((request, response) => {
      const chunks: Buffer[] = [];
      request.on('data', (chunk: Buffer) => chunks.push(chunk));
      request.on('end', () => {
        const answer = (status: number, code?: string): void => {
          response.writeHead(status, { 'content-type': 'application/json' });
          response.end(code === undefined ? undefined : JSON.stringify({ error: { code, message: 'refused by the node', details: {}, requestId: 'req' } }));
        };
        if (request.headers.authorization !== `Bearer ${NODE_TOKEN}`) {
          answer(401, 'unauthenticated');
          return;
        }
        const [, , runId = '', verb] = (request.url ?? '').split('/');
        this.calls.push({ path: request.url ?? '', body: JSON.parse(Buffer.concat(chunks).toString() || 'null') });
        if (!this.runIds.has(runId)) answer(404, 'not_found');
        else if (verb === 'cancel') {
          this.cancels.get(runId)?.abort();
          answer(202);
        } else answer(204);
      });
    });
    await new Promise<void>((resolve) => this.server?.listen(join(this.folder, 's'), resolve));
  }

  private heartbeat(): NodeHeartbeat {
    return {
      nodeId: this.nodeId,
      incarnation: this.incarnation,
      rpcUrl: `unix:${join(this.folder, 's')}`,
      startedAt: this.startedAt,
      runIds: [...this.runIds],
      runtimes: [
        { name: 'python', title: 'Python', aliases: ['py', 'python3'], version: '3.11', mainFile: 'main.py', compiled: false },
        { name: 'c', title: 'C', aliases: [], version: '12', mainFile: 'main.c', compiled: true },
      ],
      availableRuntimes: [{ name: 'java', title: 'Java' }],
      ready: this.ready,
    };
  }
}

export const printsFortyTwo: Behaviour = async ({ job, claim, node }) => {
  const runId = job.runId as RunId;
  await node.queues.claims.start(runId, claim.epoch);
  await node.publish({ type: 'run.started', ...node.event(job, claim) });
  const time = Date.now();
  await node.queues.logs.append(runId, [
    { seq: 1, type: 'output', step: 'run', stream: 'stdout', data: '42\n', encoding: 'utf8', time },
    { seq: 2, type: 'end', state: 'succeeded', exitCode: 0, signal: null, time },
  ]);
  return anOutcome();
};

/** Runs until it is cancelled. */
export const runsUntilCancelled: Behaviour = async ({ job, claim, node, cancelled }) => {
  const runId = job.runId as RunId;
  await node.queues.claims.start(runId, claim.epoch);
  await node.publish({ type: 'run.started', ...node.event(job, claim) });
  await node.queues.logs.append(runId, [{ seq: 1, type: 'output', step: 'run', stream: 'stdout', data: 'first\n', encoding: 'utf8', time: Date.now() }]);
  await new Promise<void>((resolve) => {
    if (cancelled.aborted) resolve();
    cancelled.addEventListener('abort', () => { resolve(); }, { once: true });
  });
  return anOutcome({ state: 'cancelled', run: null });
};

/** Starts, and is never heard of again. */
export const startsAndVanishes: Behaviour = async ({ job, claim, node }) => {
  await node.queues.claims.start(job.runId as RunId, claim.epoch);
  await node.publish({ type: 'run.started', ...node.event(job, claim) });
  return 'vanish';
};
