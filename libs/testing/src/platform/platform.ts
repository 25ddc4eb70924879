import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { cp, mkdir, mkdtemp, readFile, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import type { TenantLimits } from '#contracts';
import { SandbarClient } from '#sdk';
import { DockerCli } from '../docker/index.js';
import { CHECKOUT, NODE, TEST_DATA_DIR, runCommand, withoutJest, type CommandResult } from './commands.js';

export const SERVICES = ['postgres', 'redis', 'worker', 'gateway'] as const;
export type ServiceName = (typeof SERVICES)[number];

export interface PlatformOptions {
  /** More variables for the services, such as `SANDBAR_NODE_CONCURRENCY`. */
  readonly env?: Readonly<Record<string, string>>;
}

interface Credentials {
  readonly url: string;
  readonly adminKey: string;
  readonly tenant: string;
  readonly apiKey: string;
}

interface Status {
  readonly state: 'starting' | 'ready' | 'stopping';
  readonly supervisor: number;
  readonly services: Readonly<Partial<Record<ServiceName, { pid: number; restarts: number }>>>;
}

const READY_TIMEOUT_MS = 60_000;
const STOP_TIMEOUT_MS = 45_000;

/**
 * The whole product as real processes, as `npm start` runs it, over a data folder, a cgroup tree and a port of its own. Needs root
 * and what `npm test` prepares (the build, the runtimes in SANDBAR_TEST_DATA_DIR).
 */
export async function startPlatform(options: PlatformOptions = {}): Promise<Platform> {
  const dataDir = await newDataDir();
  const port = await freePort();
  const platform = new Platform(dataDir, port, options.env ?? {});
  try {
    await platform.start();
    return platform;
  } catch (error) {
    await platform.stop();
    throw error;
  }
}

export class Platform {
  readonly url: string;
  #supervisor: ChildProcess | undefined;
  #output = '';
  #credentials: Credentials | undefined;

  constructor(
    readonly dataDir: string,
    readonly port: number,
    private readonly env: Readonly<Record<string, string>>,
  ) {
    this.url = `http://127.0.0.1:${port}`;
  }

  /** Also after `stopServices`: over the same data. @throws Error with what it printed when it does not get ready */
  async start(): Promise<void> {
    const supervisor = spawn(NODE, ['infra/setup/start.mjs', '--prepared', '--no-demo', '--data-dir', this.dataDir, '--port', String(this.port)], {
      cwd: CHECKOUT,
      env: { ...withoutJest(process.env), ...this.env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.#supervisor = supervisor;
    for (const stream of [supervisor.stdout, supervisor.stderr]) stream.on('data', (chunk: Buffer) => (this.#output += chunk.toString('utf8')));
    const ready = await poll(async () => supervisor.exitCode !== null || (await this.#isReady()), READY_TIMEOUT_MS);
    if (!ready || supervisor.exitCode !== null) throw new Error(`the platform did not get ready:\n${this.#output}`);
    this.#credentials = JSON.parse(await readFile(join(this.dataDir, 'credentials.json'), 'utf8')) as Credentials;
  }

  /** A status file of a supervisor that was killed says ready too: the pid tells whose it is. */
  async #isReady(): Promise<boolean> {
    const status = await this.status();
    return status?.state === 'ready' && status.supervisor === this.#supervisor?.pid;
  }

  get credentials(): Credentials {
    if (this.#credentials === undefined) throw new Error('the platform has not been started');
    return this.#credentials;
  }

  get apiKey(): string {
    return this.credentials.apiKey;
  }

  get adminKey(): string {
    return this.credentials.adminKey;
  }

  /** Everything the supervisor has printed. */
  get output(): string {
    return this.#output;
  }

  /** A client with the first tenant's key, or with another. */
  client(apiKey: string = this.apiKey): SandbarClient {
    return new SandbarClient({ url: this.url, apiKey });
  }

  /** A tenant of its own with one key. */
  async newTenant(name: string, limits: Partial<TenantLimits> = {}): Promise<{ id: string; apiKey: string; client: SandbarClient }> {
    const { tenants } = this.client(this.adminKey);
    const { id } = await tenants.create({ name, limits });
    const { key } = await tenants.keys(id).create({ name: 'first' });
    return { id, apiKey: key, client: this.client(key) };
  }

  /** The command line over this platform, with the first tenant's key. */
  cli(args: readonly string[], options: { stdin?: string; env?: Readonly<Record<string, string>> } = {}): Promise<CommandResult> {
    const env = { SANDBAR_URL: this.url, SANDBAR_API_KEY: this.apiKey, SANDBAR_DATA_DIR: this.dataDir, ...options.env };
    return runCommand([NODE, join(CHECKOUT, 'apps/cli/bin/sandbar.js'), ...args], { env, ...(options.stdin === undefined ? {} : { stdin: options.stdin }) });
  }

  /** Docker's client with the first tenant's key, or with another. Close it at the end. */
  docker(apiKey: string = this.apiKey): Promise<DockerCli> {
    return DockerCli.open(this.url, apiKey);
  }

  async status(): Promise<Status | undefined> {
    try {
      return JSON.parse(await readFile(join(this.dataDir, 'run', 'status.json'), 'utf8')) as Status;
    } catch {
      return undefined;
    }
  }

  async pidOf(service: ServiceName): Promise<number> {
    const pid = (await this.status())?.services[service]?.pid;
    if (pid === undefined) throw new Error(`${service} is not running`);
    return pid;
  }

  /** SIGKILL by default. Resolves when the supervisor has put a new process in its place. */
  async kill(service: ServiceName, signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
    const before = await this.pidOf(service);
    process.kill(before, signal);
    const replaced = await poll(async () => ((await this.status())?.services[service]?.pid ?? before) !== before, 30_000);
    if (!replaced) throw new Error(`${service} was not started again:\n${this.#output}`);
  }

  /** Resolves when runs are taken again. */
  async untilReady(): Promise<void> {
    const ready = await poll(async () => (await fetch(`${this.url}/health/ready`).catch(() => undefined))?.status === 200, READY_TIMEOUT_MS);
    if (!ready) throw new Error(`the platform did not get ready again:\n${this.#output}`);
  }

  /** What the engine's search finds of sandboxes' leftovers: exit code 0 and no leak, or 1 and what there is. */
  leaks(): Promise<CommandResult> {
    return runCommand([NODE, 'infra/setup/doctor.mjs', '--leaks', '--json', '--data-dir', this.dataDir], { env: {} });
  }

  async logOf(service: ServiceName): Promise<string> {
    const file = join(this.dataDir, 'log', `${service}.log`);
    return existsSync(file) ? readFile(file, 'utf8') : '';
  }

  /** As Ctrl-C. The data stays for another `start`. @throws Error when it does not end in time */
  async stopServices(): Promise<void> {
    const supervisor = this.#supervisor;
    if (supervisor === undefined || supervisor.exitCode !== null || supervisor.signalCode !== null) return;
    const ended = once(supervisor, 'exit');
    supervisor.kill('SIGTERM');
    const timer = setTimeout(() => supervisor.kill('SIGKILL'), STOP_TIMEOUT_MS);
    const [code, signal] = (await ended) as [number | null, string | null];
    clearTimeout(timer);
    if (code !== 0) throw new Error(`the supervisor ended with ${signal ?? String(code)}:\n${this.#output}`);
  }

  /** The supervisor's own SIGKILL: nothing of it runs any more that could tidy up. */
  async killSupervisor(): Promise<void> {
    const supervisor = this.#supervisor;
    if (supervisor === undefined || supervisor.exitCode !== null) throw new Error('the supervisor is not running');
    const ended = once(supervisor, 'exit');
    supervisor.kill('SIGKILL');
    await ended;
  }

  /** Idempotent. */
  async stop(): Promise<void> {
    try {
      await this.stopServices();
    } finally {
      await rm(this.dataDir, { recursive: true, force: true });
    }
  }
}

/** A data folder with the prepared runtimes. Hard links: layers are read-only, and a copy of their files would take seconds. */
async function newDataDir(): Promise<string> {
  const parent = join(TEST_DATA_DIR, 'p');
  await mkdir(parent, { recursive: true, mode: 0o711 });
  // Short, for the sockets below it.
  const dataDir = await mkdtemp(join(parent, 'x'));
  for (const file of ['sandbar-data.json', 'runtimes.json']) {
    await cp(join(TEST_DATA_DIR, file), join(dataDir, file)).catch(() => {
      throw new Error(`${TEST_DATA_DIR} has no runtimes: npm test prepares them`);
    });
  }
  await mkdir(join(dataDir, 'secrets'), { mode: 0o700 });
  await mkdir(join(dataDir, 'engine'), { mode: 0o711 });
  for (const part of ['content', 'snapshots', 'images']) {
    const from = join(TEST_DATA_DIR, 'engine', part);
    if (!existsSync(from)) continue;
    const { exitCode, stderr } = await runCommand(['cp', '--archive', '--link', from, join(dataDir, 'engine', part)], { env: {} });
    if (exitCode !== 0) throw new Error(`cp: ${stderr}`);
  }
  return dataDir;
}

async function freePort(): Promise<number> {
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  if (address === null || typeof address === 'string') throw new Error('no port');
  return address.port;
}

async function poll(probe: () => Promise<boolean>, timeoutMs: number): Promise<boolean> {
  for (const end = performance.now() + timeoutMs; performance.now() < end; ) {
    if (await probe()) return true;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  return false;
}
