import { CodedError } from '#kernel';
import type { ProcessIdentity, Spawner, SpawnResult } from '../linux/index.js';

const TIMEOUT_MS = 10_000;
const ENV = { PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin' };
const MAX_ERROR_TEXT = 1_000;

/** The program `sandbar-net`, and nft in a name space of its choice. */
export class NetHelper {
  readonly #spawner: Spawner;
  readonly #program: string;

  constructor(spawner: Spawner, program: string) {
    this.#spawner = spawner;
    this.#program = program;
  }

  /** Leaves a process behind that holds a new name space. @returns its pid */
  async hold(instance: string, tenantId: string, socketPath: string): Promise<number> {
    const { stdout } = await this.#run('hold a name space', [this.#program, 'hold', instance, tenantId, socketPath]);
    return Number(stdout.toString('latin1'));
  }

  /** Carries out lines in their order; the first that fails ends it, and what was done before it stays. */
  async apply(lines: readonly string[]): Promise<void> {
    if (lines.length === 0) return;
    await this.#run('change the network', [this.#program, 'apply'], `${lines.join('\n')}\n`);
  }

  /** One transaction. @param space undefined: the node's own */
  async rules(space: ProcessIdentity | undefined, text: string): Promise<void> {
    const within = space === undefined ? [] : [this.#program, 'run', String(space.pid), String(space.startTicks)];
    await this.#run('change the packet filter', [...within, 'nft', '-f', '-'], text);
  }

  /** Names of the tables of family inet in the node's own name space. */
  async tables(): Promise<string[]> {
    const { stdout } = await this.#run('list the tables of the packet filter', ['nft', 'list', 'tables', 'inet']);
    return stdout.toString('utf8').split('\n').flatMap((line) => line.split(' ').slice(2, 3));
  }

  async #run(what: string, argv: readonly string[], input?: string): Promise<SpawnResult> {
    const result = await this.#spawner.exec({ argv, env: ENV, timeoutMs: TIMEOUT_MS, ...(input === undefined ? {} : { stdin: Buffer.from(input, 'latin1') }) });
    if (result.exitCode === 0) return result;
    const text = result.stderr.toString('utf8').trim().slice(0, MAX_ERROR_TEXT);
    throw new CodedError('internal', `cannot ${what}: ${text}`, { exitCode: result.exitCode, text });
  }
}

/** The line that names a process's name space for those after it. */
export function spaceLine(name: string, { pid, startTicks }: ProcessIdentity): string {
  return `space ${name} ${pid} ${startTicks}`;
}

export function macOf(address: number): string {
  return ['02', '42', ...[24, 16, 8, 0].map((shift) => ((address >>> shift) & 255).toString(16).padStart(2, '0'))].join(':');
}
