import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { NodeHeartbeat } from '#contracts';
import type { SandboxRuntime } from '#engine';
import { asError } from '#kernel';
import type { BuildConsumer, NodeRegistry, OperationConsumer, RunConsumer } from '#queue';
import type { Builds } from '../builds/open-builds.js';
import type { Host } from '../host/open-host.js';
import type { OperationProcessor } from '../operations/operation-processor.js';
import type { RunAdopter } from '../runs/run-adopter.js';
import type { RunProcessor } from '../runs/run-processor.js';
import type { RunServices } from '../runs/run-services.js';
import { Heartbeat } from './heartbeat.js';
import type { WorkingRuntimes } from '../runtimes/open-runtimes.js';
import type { RpcServer } from './rpc-server.js';

/** After the last runs were told to end: they are killed and reported. */
const ENDING_MS = 5000;

/** Rises with each start; two starts in one millisecond differ too. */
export function newIncarnation(now: number): string {
  return `${String(now).padStart(15, '0')}-${randomBytes(4).toString('hex')}`;
}

export interface WorkerNodeOptions {
  readonly services: RunServices;
  readonly engine: SandboxRuntime;
  readonly adopter: RunAdopter;
  readonly processor: RunProcessor;
  readonly consumer: RunConsumer;
  readonly host: Pick<Host, 'prepare' | 'recover' | 'stopContainers'>;
  readonly operations: { readonly processor: Pick<OperationProcessor, 'process'>; readonly consumer: OperationConsumer };
  readonly builds: { readonly active: Builds['active']; readonly spool: Pick<Builds['spool'], 'sweep'>; readonly processor: Pick<Builds['processor'], 'process' | 'room'>; readonly consumer: BuildConsumer };
  readonly registry: NodeRegistry;
  readonly rpc: RpcServer;
  readonly runtimes: {
    readonly installed: Pick<WorkingRuntimes['installed'], 'views' | 'available'>;
    readonly installs: Pick<WorkingRuntimes['installs'], 'stop'>;
    readonly convergence: Pick<WorkingRuntimes['convergence'], 'start' | 'stop'>;
    readonly tidy: WorkingRuntimes['tidy'];
  };
  /** Aborts `services.signal`. */
  readonly giveUp: () => void;
  /** Ends connections and helpers. */
  readonly close: () => Promise<void>;
  readonly shutdownGraceMs: number;
}

/** One node from start to stop. Killed at any point, the next start finds what it needs to go on. */
export class WorkerNode {
  private readonly heartbeat: Heartbeat;
  private readonly startedAt: number;
  private ready = false;
  private rpcUrl = '';
  private adopted: Promise<void> = Promise.resolve();
  private starting: Promise<void> = Promise.resolve();
  private stopping: Promise<void> | undefined;

  constructor(private readonly options: WorkerNodeOptions) {
    const { services, registry } = options;
    this.startedAt = services.clock.now();
    this.heartbeat = new Heartbeat(registry, () => this.describe(), services.logger);
  }

  start(): Promise<void> {
    this.starting = this.open();
    return this.starting;
  }

  private async open(): Promise<void> {
    const { engine, adopter, consumer, processor, rpc, services, host, operations, builds, runtimes } = this.options;
    await host.prepare();
    await builds.spool.sweep(services.clock.now());
    await engine.recover();
    const { adopted, destroyed, done } = await adopter.adopt();
    this.adopted = done;
    await host.recover();
    // Runs that were taken up again may stand on what is about to be removed.
    void done.then(() => runtimes.tidy()).catch((error: unknown) => {
      services.logger.warn({ err: asError(error) }, 'runtimes: could not be tidied up');
    });
    await runtimes.convergence.start();
    this.rpcUrl = await rpc.start();
    this.ready = true;
    // Before the first job: a claim of this node's earlier life may be taken over as soon as the new one is known.
    await this.heartbeat.start();
    consumer.start((job) => processor.process(job));
    operations.consumer.start((job, signal) => operations.processor.process(job, signal));
    builds.consumer.start(
      (job, signal) => builds.processor.process(job, signal),
      (job) => builds.processor.room(job),
    );
    services.logger.info({ nodeId: services.node.nodeId, incarnation: services.node.incarnation, adopted, destroyed, rpcUrl: this.rpcUrl }, 'node is ready');
  }

  get isReady(): boolean {
    return this.ready;
  }

  /**
   * Takes no more jobs, lets runs end within the grace time, ends the rest as `lost` and leaves no sandbox behind. Idempotent.
   * To hand running sandboxes to the next worker, kill the process instead.
   */
  stop(): Promise<void> {
    this.stopping ??= this.shutDown();
    return this.stopping;
  }

  private async shutDown(): Promise<void> {
    const { services, consumer, engine, giveUp, rpc, host, operations, builds, runtimes, shutdownGraceMs } = this.options;
    const { active, logger } = services;
    await within(this.starting, shutdownGraceMs);
    this.ready = false;
    void this.heartbeat.beat();
    runtimes.convergence.stop();
    await within(runtimes.installs.stop(), ENDING_MS);
    // Pulls, pushes and builds come again: what they have fetched or made is kept.
    const drained = Promise.all([consumer.close(), operations.consumer.close(), builds.consumer.close(), this.adopted]).then(
      () => true,
      () => true,
    );
    if (!(await within(Promise.all([drained, active.idle()]), shutdownGraceMs))) {
      logger.info({ runIds: active.ids() }, 'ending what still runs');
      for (const run of active.all()) run.interrupt('shut_down');
      await within(Promise.all([drained, active.idle()]), ENDING_MS);
    }
    giveUp();
    await rpc.stop();
    await host.stopContainers().catch((error: unknown) => {
      logger.error({ err: asError(error) }, 'containers could not be stopped');
    });
    await this.sweep(engine);
    await within(this.heartbeat.leave(services.node.nodeId), 1000);
    await within(this.options.close(), 5000);
    logger.info({}, 'node has stopped');
  }

  private async sweep(engine: SandboxRuntime): Promise<void> {
    const { logger } = this.options.services;
    const sandboxes = await engine.list().catch(() => []);
    const results = await Promise.allSettled(sandboxes.map((sandbox) => sandbox.destroy()));
    for (const result of results) if (result.status === 'rejected') logger.error({ err: asError(result.reason) }, 'a sandbox could not be destroyed');
  }

  private describe(): NodeHeartbeat {
    const { services, runtimes, builds } = this.options;
    const { nodeId, incarnation } = services.node;
    return { nodeId, incarnation, rpcUrl: this.rpcUrl, startedAt: this.startedAt, runIds: services.active.ids(), buildIds: builds.active.ids(), runtimes: runtimes.installed.views(), availableRuntimes: runtimes.installed.available(), ready: this.ready };
  }
}

/** True when `work` settles in time. */
async function within(work: Promise<unknown>, milliseconds: number): Promise<boolean> {
  const quit = new AbortController();
  const late = sleep(milliseconds, false, { signal: quit.signal }).catch(() => false);
  const settled = work.then(
    () => true,
    () => true,
  );
  const result = await Promise.race([settled, late]);
  quit.abort();
  return result;
}
