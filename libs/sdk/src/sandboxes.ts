import { pageSchema, processFrameSchema, sandboxStatsSchema, sandboxViewSchema, type CreateSandboxInput, type Page, type ProcessExit, type ProcessOutput, type SandboxStats, type UpdateSandbox, type SandboxCondition, type SandboxState, type SandboxView } from '#contracts';
import { JsonSocket } from './json-socket.js';
import { processFrameOf } from './process-frames.js';
import { resumed, type ResumeOptions } from './resumed.js';
import type { Transport } from './transport.js';

export interface ListSandboxes {
  readonly states?: readonly SandboxState[];
  /** `key` or `key=value`; all of them. */
  readonly labels?: readonly string[];
  readonly namePrefix?: string;
  readonly limit?: number;
  readonly cursor?: string;
}

export interface StopOptions {
  /** Default: the sandbox's own stop signal. */
  readonly signal?: string;
  /** Until SIGKILL; -1: for ever. */
  readonly timeoutSeconds?: number;
}

export interface SandboxLogOptions extends ResumeOptions {
  /** Output up to this `seq` is known; default 0: from the start. */
  readonly after?: number;
  readonly follow?: boolean;
  /** Only what was written then or later: milliseconds since the epoch. */
  readonly since?: number;
  readonly stdout?: boolean;
  readonly stderr?: boolean;
}

/** The longest that one call waits. */
const WAIT_MS = 60_000;

/** Sandboxes that the key's tenant keeps: its containers, whoever made them. By ID, the beginning of one, or name. Each method throws SandbarApiError. */
export class SandboxesApi {
  constructor(private readonly transport: Transport) {}

  /** Running when it resolves, unless `start` is false. With a key, the same call again gives the same sandbox. */
  create(sandbox: CreateSandboxInput, { idempotencyKey }: { idempotencyKey?: string } = {}): Promise<SandboxView> {
    return this.transport.call({ method: 'POST', path: '/v1/sandboxes', body: sandbox, headers: idempotencyKey === undefined ? {} : { 'idempotency-key': idempotencyKey } }, sandboxViewSchema);
  }

  get(ref: string): Promise<SandboxView> {
    return this.transport.call({ method: 'GET', path: sandboxPath(ref) }, sandboxViewSchema);
  }

  /** Newest first. */
  list({ states = [], labels = [], ...query }: ListSandboxes = {}): Promise<Page<SandboxView>> {
    return this.transport.call({ method: 'GET', path: '/v1/sandboxes', query: { ...query, state: states, label: labels } }, pageSchema(sandboxViewSchema));
  }

  /** Page by page, all that the filters let through. */
  async *all(query: Omit<ListSandboxes, 'cursor'> = {}): AsyncGenerator<SandboxView> {
    let cursor: string | undefined;
    do {
      const page: Page<SandboxView> = await this.list({ limit: 200, ...query, ...(cursor === undefined ? {} : { cursor }) });
      yield* page.items;
      cursor = page.nextCursor ?? undefined;
    } while (cursor !== undefined);
  }

  /** In force at once, while it runs too. What is not given stays. */
  update(ref: string, change: UpdateSandbox): Promise<SandboxView> {
    return this.transport.call({ method: 'PATCH', path: sandboxPath(ref), body: change }, sandboxViewSchema);
  }

  /** What it takes at this moment. */
  stats(ref: string): Promise<SandboxStats> {
    return this.transport.call({ method: 'GET', path: `${sandboxPath(ref)}/stats` }, sandboxStatsSchema);
  }

  /** Each second, until it stops: `running` is false in the last one. */
  async *followStats(ref: string, { signal }: { signal?: AbortSignal } = {}): AsyncGenerator<SandboxStats> {
    for await (const line of this.transport.lines({ method: 'GET', path: `${sandboxPath(ref)}/stats`, query: { stream: true }, signal })) yield sandboxStatsSchema.parse(JSON.parse(line));
  }

  async remove(ref: string, options: { force?: boolean; volumes?: boolean } = {}): Promise<void> {
    await this.transport.callForNothing({ method: 'DELETE', path: sandboxPath(ref), query: { ...options } });
  }

  /** Idempotent. */
  start(ref: string): Promise<SandboxView> {
    return this.#verb(ref, 'start');
  }

  /** Resolves when it has stopped. Idempotent. */
  stop(ref: string, options: StopOptions = {}): Promise<SandboxView> {
    return this.#verb(ref, 'stop', options);
  }

  restart(ref: string, options: StopOptions = {}): Promise<SandboxView> {
    return this.#verb(ref, 'restart', options);
  }

  kill(ref: string, signal = 'SIGKILL'): Promise<SandboxView> {
    return this.#verb(ref, 'kill', { signal });
  }

  pause(ref: string): Promise<SandboxView> {
    return this.#verb(ref, 'pause');
  }

  resume(ref: string): Promise<SandboxView> {
    return this.#verb(ref, 'resume');
  }

  /** Resolves when the state is reached, or was reached and left again meanwhile; `undefined` when it was not within `timeoutMs` (default: for ever). */
  async wait(ref: string, state: SandboxCondition = 'stopped', { timeoutMs = Infinity, signal }: { timeoutMs?: number; signal?: AbortSignal } = {}): Promise<SandboxView | undefined> {
    const end = performance.now() + timeoutMs;
    for (;;) {
      const left = end - performance.now();
      if (left <= 0) return undefined;
      const { status, value } = await this.transport.answer({ method: 'GET', path: `${sandboxPath(ref)}/wait`, query: { state, timeoutMs: Math.max(1, Math.floor(Math.min(left, WAIT_MS))) }, signal }, sandboxViewSchema);
      if (status === 200) return value;
    }
  }

  /** What its main program has written, in all its runs; with `follow` also what it writes, until it ends. A connection that breaks is made anew behind the last frame. */
  async *logs(ref: string, options: SandboxLogOptions = {}): AsyncGenerator<ProcessOutput | ProcessExit> {
    const { follow = false, since = 0, stdout = true, stderr = true, signal } = options;
    let after = options.after ?? 0;
    const path = `${sandboxPath(ref)}/logs`;
    if (!follow) {
      for await (const line of this.transport.lines({ method: 'GET', path, query: { after, since, stdout, stderr }, signal })) yield processFrameOf(line);
      return;
    }
    yield* resumed<ProcessOutput | ProcessExit>('the log', options, {
      connect: () => new JsonSocket(this.transport, { path, query: { after: String(after), since: String(since), stdout: String(stdout), stderr: String(stderr) }, schema: processFrameSchema, signal }),
      isNew: (frame) => {
        if (frame.type === 'exit') return true;
        if (frame.seq <= after) return false;
        after = frame.seq;
        return true;
      },
    });
  }

  #verb(ref: string, name: string, body?: object): Promise<SandboxView> {
    return this.transport.call({ method: 'POST', path: `${sandboxPath(ref)}/${name}`, ...(body === undefined ? {} : { body }) }, sandboxViewSchema);
  }
}

export function sandboxPath(ref: string): string {
  return `/v1/sandboxes/${encodeURIComponent(ref)}`;
}
