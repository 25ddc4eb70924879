import { spawnSync } from 'node:child_process';
import { chmodSync, chownSync, copyFileSync, mkdirSync, writeFileSync } from 'node:fs';
import { mkdtemp, chmod, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { createRunSchema, runJobSchema, runtimeDefinitionSchema, tenantLimitsSchema, type CreateRunInput, type LogFrame, type NodeEvent, type RunJob } from '#contracts';
import { newId, silentLogger, systemClock, type Digest, type NodeId, type RunId, type TenantId } from '#kernel';
import { createControlQueues, createNodeQueues, type ControlQueues, type NodeQueues } from '#queue';
import { startTestRedis, type TestRedis } from '#testing';
import { openEngine, type Engine } from '../engine/open-engine.js';
import { newIncarnation } from '../node/worker-node.js';
import { openEngineStores, type EngineStores } from '../runtimes/engine-stores.js';
import { PLATFORM_TENANT } from '../runtimes/platform-tenant.js';
import { ActiveRuns } from './active-runs.js';
import { RunAdopter } from './run-adopter.js';
import { RunLifecycle } from './run-lifecycle.js';
import { RunProcessor } from './run-processor.js';
import type { Milestone, RunServices } from './run-services.js';
import { Grave, type Strike } from './grave.contract.js';
import { TenantCgroups } from '../engine/tenant-cgroups.js';
import { FreshSandboxSource, type SandboxSource } from './sandbox-source.js';

const NATIVE = resolve(import.meta.dirname, '../../../../dist/native');
const APPLETS = 'sh cat echo sleep true false kill dd yes seq head tail mkdir ls id env wc od tr printf sort setsid'.split(' ');

export const SHELL = runtimeDefinitionSchema.parse({
  name: 'sh', title: 'sh', mainFile: 'main.sh', run: ['sh', '{main}'], versionCommand: ['sh'], example: { code: '', stdout: '' },
});
/** Its compile step is a script too: `compile.sh` makes `main.sh`. */
export const TWO_STEPS = runtimeDefinitionSchema.parse({ ...SHELL, name: 'two', mainFile: 'compile.sh', compile: { argv: ['sh', '{main}'] }, run: ['sh', 'main.sh'] });

export interface Life {
  readonly services: RunServices;
  readonly processor: RunProcessor;
  readonly adopter: RunAdopter;
  readonly engine: Engine;
  readonly queues: NodeQueues;
  /** As SIGKILL does: nothing this life has begun goes on, nothing is cleaned up. */
  crash(): Promise<void>;
}

/** A real node with a root file system of busybox, its own Redis, data folder and cgroup tree. */
export class BusyboxNode {
  readonly nodeId: NodeId = newId('node');
  readonly tenantId: TenantId = newId('tenant');
  private readonly lives: Life[] = [];

  private constructor(
    readonly dataDir: string,
    readonly redis: TestRedis,
    readonly control: ControlQueues,
    private readonly stores: EngineStores,
    private readonly chainId: Digest,
    readonly cgroupRoot: string,
  ) {}

  static async open(name: string): Promise<BusyboxNode> {
    const dataDir = await mkdtemp(join(tmpdir(), `${name}-`));
    await chmod(dataDir, 0o711);
    const stores = await openEngineStores({ dataDir, nativeDir: NATIVE, logger: silentLogger });
    const { chainId } = await stores.tenantImages.importTar(PLATFORM_TENANT, { tar: busyboxTar(dataDir), changes: [] });
    const redis = await startTestRedis();
    const control = await createControlQueues(redis.options, silentLogger);
    return new BusyboxNode(dataDir, redis, control, stores, chainId, `${name}-${process.pid}`);
  }

  /** A worker process' worth of objects. The one before must have crashed. */
  async live({ reached = () => undefined, strike }: { reached?: (runId: RunId, milestone: Milestone) => void | Promise<void>; strike?: Strike } = {}): Promise<Life> {
    const engine = await openEngine({ dataDir: this.dataDir, cgroupRoot: this.cgroupRoot, ociRuntime: 'crun', nativeDir: NATIVE, snapshots: this.stores.snapshots, logger: silentLogger });
    const stop = new AbortController();
    const grave = new Grave(strike);
    const source = new FreshSandboxSource(engine.runtime, new TenantCgroups(engine.cgroups));
    const queues = createNodeQueues(this.redis.options, silentLogger, { concurrency: 4 });
    const node = { nodeId: this.nodeId, incarnation: newIncarnation(Date.now()) };
    const services: RunServices = {
      node,
      claims: grave.mortal(queues.claims),
      logs: grave.mortal(queues.logs),
      events: grave.mortal(queues.events),
      sandboxes: grave.mortal<SandboxSource>({ acquire: async (request) => grave.sandbox(await source.acquire(request)) }),
      runtimes: { resolve: (name) => (name === 'sh' ? { definition: SHELL, chainId: this.chainId } : name === 'two' ? { definition: TWO_STEPS, chainId: this.chainId } : undefined) },
      active: new ActiveRuns(),
      clock: systemClock,
      logger: silentLogger,
      signal: stop.signal,
      reached,
    };
    const lifecycle = new RunLifecycle(services);
    await engine.runtime.recover();
    await queues.nodes.beat({ ...node, rpcUrl: 'unix:/nowhere', startedAt: Date.now(), runIds: [], runtimes: [], availableRuntimes: [], ready: true });
    const life: Life = {
      services,
      engine,
      queues,
      processor: new RunProcessor(services, lifecycle),
      adopter: new RunAdopter(services, lifecycle, { list: async () => (await engine.runtime.list()).map((sandbox) => grave.sandbox(sandbox)) }),
      crash: async () => {
        grave.close();
        await queues.close();
        await engine.close();
      },
    };
    this.lives.push(life);
    return life;
  }

  job(spec: Omit<CreateRunInput, 'runtime'> & { runtime?: string }): RunJob & { runId: RunId } {
    const job = { runId: newId('run'), tenantId: this.tenantId, requestId: newId('request'), spec: createRunSchema.parse({ runtime: 'sh', ...spec }), tenantLimits: tenantLimitsSchema.parse({}) };
    return { ...runJobSchema.parse(job), runId: job.runId };
  }

  frames(runId: RunId): Promise<LogFrame[]> {
    return this.control.logs.readAll(runId);
  }

  /** Every event so far, in order. */
  async events(): Promise<NodeEvent[]> {
    const stop = new AbortController();
    const events: NodeEvent[] = [];
    const consumed = this.control.events.consume('test', (batch) => Promise.resolve(void events.push(...batch)), stop.signal);
    await new Promise((done) => setTimeout(done, 300));
    stop.abort();
    await consumed;
    return events;
  }

  async close(): Promise<void> {
    const last = this.lives.at(-1);
    if (last !== undefined) {
      for (const sandbox of await last.engine.runtime.list()) await sandbox.destroy();
      await last.engine.cgroups.removeTenant(this.tenantId);
      await last.engine.cgroups.removeAll();
      await last.crash();
    }
    await this.control.close();
    await this.redis.stop();
    await rm(this.dataDir, { recursive: true, force: true });
  }
}

async function* busyboxTar(dataDir: string): AsyncIterable<Uint8Array> {
  const root = join(dataDir, 'rootfs');
  for (const folder of ['bin', 'etc', 'proc', 'sys', 'dev', 'tmp', 'root', 'work']) mkdirSync(join(root, folder), { recursive: true });
  copyFileSync('/bin/busybox', join(root, 'bin/busybox'));
  chmodSync(join(root, 'bin/busybox'), 0o755);
  for (const applet of APPLETS) spawnSync('ln', ['-s', 'busybox', join(root, 'bin', applet)]);
  writeFileSync(join(root, 'etc/passwd'), 'root:x:0:0::/root:/bin/sh\nrunner:x:1000:1000::/work:/bin/sh\n');
  chownSync(join(root, 'work'), 1000, 1000);
  chmodSync(join(root, 'tmp'), 0o1777);
  const tar = spawnSync('tar', ['-C', root, '--numeric-owner', '-c', '.'], { maxBuffer: 64 << 20 });
  await rm(root, { recursive: true });
  yield tar.stdout;
}
