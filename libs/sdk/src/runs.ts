import { isFinalRunState, logFrameSchema, pageSchema, runtimeInstallViewSchema, runtimeListSchema, runViewSchema, type CreateRunInput, type LogFrame, type Page, type RunState, type RuntimeInstallView, type RuntimeList, type RuntimeView, type RunView } from '#contracts';
import { frameOf, followLogs, type FollowOptions } from './logs.js';
import type { Transport } from './transport.js';

export interface CreateRunOptions {
  /** The same key again gives the same run instead of a second one. */
  readonly idempotencyKey?: string;
  readonly signal?: AbortSignal;
}

export interface ListRuns {
  readonly state?: RunState;
  readonly runtime?: string;
  /** `key=value` */
  readonly label?: string;
  readonly limit?: number;
  readonly cursor?: string;
}

export interface StdinChunk {
  readonly data?: string;
  readonly encoding?: 'utf8' | 'base64';
  /** Close stdin after data. */
  readonly eof?: boolean;
}

/** Runs of the key's tenant. Each method throws SandbarApiError. */
export class RunsApi {
  constructor(private readonly transport: Transport) {}

  /** Recorded, not yet running. */
  create(run: CreateRunInput, options: CreateRunOptions = {}): Promise<RunView> {
    return this.#post(run, false, options);
  }

  /** Creates a run and waits for its end. */
  async createAndWait(run: CreateRunInput, options: CreateRunOptions = {}): Promise<RunView> {
    const view = await this.#post(run, true, options);
    // The server waits for as long as it finds reasonable.
    return isFinalRunState(view.state) ? view : this.wait(view.id, options);
  }

  get(id: string, options: { signal?: AbortSignal } = {}): Promise<RunView> {
    return this.transport.call({ method: 'GET', path: pathOf(id), signal: options.signal }, runViewSchema);
  }

  /** Resolves with the run in its final state: its log ends when it does, and its row is written a moment later. */
  async wait(id: string, options: { signal?: AbortSignal } = {}): Promise<RunView> {
    for (let delayMs = 10; ; delayMs = Math.min(delayMs * 2, 500)) {
      const view = await this.get(id, options);
      if (isFinalRunState(view.state)) return view;
      await new Promise((resolve) => setTimeout(resolve, delayMs));
      options.signal?.throwIfAborted();
    }
  }

  list(query: ListRuns = {}): Promise<Page<RunView>> {
    return this.transport.call({ method: 'GET', path: '/v1/runs', query: { ...query } }, pageSchema(runViewSchema));
  }

  /** Idempotent: a run that is over stays as it is. */
  cancel(id: string): Promise<RunView> {
    return this.transport.call({ method: 'POST', path: `${pathOf(id)}/cancel` }, runViewSchema);
  }

  async stdin(id: string, chunk: StdinChunk): Promise<void> {
    await this.transport.callForNothing({ method: 'POST', path: `${pathOf(id)}/stdin`, body: chunk });
  }

  /** See `followLogs`. */
  logs(id: string, options: FollowOptions = {}): AsyncGenerator<LogFrame> {
    return followLogs(this.transport, id, options);
  }

  /** What the log holds now, with the end frame when the run is over; it does not wait for more. */
  async *logsSoFar(id: string, { after = 0, signal }: { after?: number; signal?: AbortSignal } = {}): AsyncGenerator<LogFrame> {
    for await (const line of this.transport.lines({ method: 'GET', path: `${pathOf(id)}/logs`, query: { after, follow: false }, signal })) yield frameOf(logFrameSchema, line);
  }

  #post(run: CreateRunInput, wait: boolean, { idempotencyKey, signal }: CreateRunOptions): Promise<RunView> {
    const headers: Record<string, string> = idempotencyKey === undefined ? {} : { 'idempotency-key': idempotencyKey };
    return this.transport.call({ method: 'POST', path: '/v1/runs', query: wait ? { wait: true } : {}, body: run, headers, signal }, runViewSchema);
  }
}

function pathOf(id: string): string {
  return `/v1/runs/${encodeURIComponent(id)}`;
}

export class RuntimesApi {
  constructor(private readonly transport: Transport) {}

  /** What runs can use. */
  async list(): Promise<RuntimeView[]> {
    return (await this.all()).items;
  }

  /** Also what could be installed. */
  all(): Promise<RuntimeList> {
    return this.transport.call({ method: 'GET', path: '/v1/runtimes' }, runtimeListSchema);
  }

  /** On all nodes; begun, not yet done. For the operator. */
  install(name: string): Promise<RuntimeInstallView> {
    return this.transport.call({ method: 'POST', path: `/v1/runtimes/${encodeURIComponent(name)}/install` }, runtimeInstallViewSchema);
  }

  /** How it goes. For the operator. */
  installation(name: string): Promise<RuntimeInstallView> {
    return this.transport.call({ method: 'GET', path: `/v1/runtimes/${encodeURIComponent(name)}/install` }, runtimeInstallViewSchema);
  }
}
