import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { AgentEvent, ProcessExit, ProcessSpec } from './agent.js';
import type { AgentConnection } from './agent-connection.js';
import { connectAgent } from './connect-agent.js';

const ROOT = resolve(import.meta.dirname, '../../../../..');

/** Compiles the agent and the launcher that gives it name spaces of its own. */
export async function buildAgent(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'agent-build-'));
  // The sandbox's shifted root is nobody out here.
  await chmod(folder, 0o755);
  execFileSync(process.execPath, [join(ROOT, 'infra/native/build.mjs'), '--out', folder, 'sandbar-init']);
  execFileSync('cc', ['-O1', '-static', '-std=gnu11', '-D_GNU_SOURCE', '-Wall', '-Wextra', '-Werror', '-o', join(folder, 'launch'), join(ROOT, 'libs/engine/native/init/test/launch.c')]);
  return folder;
}

/** A real agent as process 1 of name spaces of its own; the guest's working place is a tmpfs on /mnt. */
export class LaunchedAgent {
  private constructor(
    private readonly folder: string,
    private readonly launcher: ChildProcess,
    readonly socketPath: string,
  ) {}

  static async launch(programs: string): Promise<LaunchedAgent> {
    const folder = await mkdtemp(join(tmpdir(), 'agent-'));
    const socketPath = join(folder, 'agent.sock');
    const launcher = spawn(join(programs, 'launch'), [socketPath, join(programs, 'sandbar-init')], { stdio: ['ignore', 'inherit', 'inherit'] });
    for (let waited = 0; !existsSync(socketPath); waited += 5) {
      if (waited > 5000 || launcher.exitCode !== null) throw new Error('the agent did not come up');
      await sleep(5);
    }
    return new LaunchedAgent(folder, launcher, socketPath);
  }

  get alive(): boolean {
    return this.launcher.exitCode === null && this.launcher.signalCode === null;
  }

  connect(after: number | 'kept' = 0): Promise<AgentConnection> {
    return connectAgent({ socketPath: this.socketPath, after, timeoutMs: 10_000 });
  }

  async stop(): Promise<void> {
    if (this.alive) {
      const ended = once(this.launcher, 'exit');
      this.launcher.kill('SIGKILL');
      await ended;
    }
    await rm(this.folder, { recursive: true, force: true });
  }
}

let lastProcessId = 0;

/** A process of the guest's ordinary user, under an id not used before. */
export function guest(argv: readonly string[], changes: Partial<ProcessSpec> = {}): ProcessSpec {
  lastProcessId += 1;
  return {
    id: lastProcessId,
    argv,
    env: ['PATH=/usr/bin:/bin', 'LANG=C'],
    cwd: '/mnt',
    uid: 1000,
    gid: 1000,
    stdio: { kind: 'pipes', stdin: false },
    ...changes,
  };
}

export interface Finished {
  readonly stdout: string;
  readonly stderr: string;
  readonly exit: ProcessExit;
  readonly events: readonly AgentEvent[];
}

/** The consumer of a connection's events: acknowledges each and sorts them by process. */
export class Collector {
  readonly events: AgentEvent[] = [];
  lastSeq: number;
  readonly done: Promise<void>;
  private readonly watchers = new Set<() => void>();

  constructor(agent: AgentConnection, after = 0, private readonly acknowledging = true) {
    this.lastSeq = after;
    this.done = this.collect(agent);
  }

  of(id: number): readonly AgentEvent[] {
    return this.events.filter((event) => event.processId === id);
  }

  text(id: number, stream: 'stdout' | 'stderr'): string {
    return Buffer.concat(this.of(id).flatMap((event) => (event.type === 'output' && event.stream === stream ? [event.data] : []))).toString();
  }

  async until(condition: () => boolean): Promise<void> {
    while (!condition()) {
      await new Promise<void>((resolvePromise) => {
        this.watchers.add(resolvePromise);
      });
    }
  }

  async exit(id: number): Promise<Finished> {
    await this.until(() => this.of(id).some((event) => event.type === 'exit'));
    const end = this.of(id).find((event) => event.type === 'exit')!;
    return { stdout: this.text(id, 'stdout'), stderr: this.text(id, 'stderr'), exit: end.exit, events: this.of(id) };
  }

  private async collect(agent: AgentConnection): Promise<void> {
    for await (const event of agent.events()) {
      this.events.push(event);
      this.lastSeq = event.seq;
      if (this.acknowledging) agent.acknowledge(event.seq);
      for (const watcher of this.watchers) watcher();
      this.watchers.clear();
    }
  }
}

export async function run(agent: AgentConnection, collector: Collector, spec: ProcessSpec): Promise<Finished> {
  await agent.start(spec);
  return collector.exit(spec.id);
}
