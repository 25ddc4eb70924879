import { buildFrameSchema, buildSummarySchema, buildViewSchema, isFinalBuildState, pageSchema, type BuildFrame, type BuildOptionsInput, type BuildState, type BuildSummary, type BuildView, type CreateBuildInput, type Page } from '#contracts';
import { followBuildLogs, frameOf, type FollowOptions } from './logs.js';
import type { Call, Transport } from './transport.js';

export interface CreateBuildOptions {
  /** The same key again gives the same build instead of a second one. */
  readonly idempotencyKey?: string;
  readonly signal?: AbortSignal;
}

export interface ListBuilds {
  readonly state?: BuildState;
  readonly limit?: number;
  readonly cursor?: string;
}

/** Images from Dockerfiles, of the key's tenant. Each method throws SandbarApiError. */
export class BuildsApi {
  constructor(private readonly transport: Transport) {}

  /** Of files that stand in the request, or of a Git repository. Recorded, not yet executed. */
  create(build: CreateBuildInput, options: CreateBuildOptions = {}): Promise<BuildView> {
    return this.#post({ body: build }, {}, options);
  }

  /** Of a context as a tar, plain, gzip or zstd, sent as it comes. Recorded when it is all there. */
  createFromTar(context: Uint8Array | AsyncIterable<Uint8Array>, build: BuildOptionsInput = {}, options: CreateBuildOptions = {}): Promise<BuildView> {
    const headers = { 'x-sandbar-build': Buffer.from(JSON.stringify(build)).toString('base64url') };
    return this.#post({ bytes: { type: 'application/x-tar', source: context } }, headers, options);
  }

  get(id: string, options: { signal?: AbortSignal } = {}): Promise<BuildView> {
    return this.transport.call({ method: 'GET', path: pathOf(id), signal: options.signal }, buildViewSchema);
  }

  /** Resolves with the build in its final state: its log ends when it does, and its row is written a moment later. */
  async wait(id: string, options: { signal?: AbortSignal } = {}): Promise<BuildView> {
    for (let delayMs = 10; ; delayMs = Math.min(delayMs * 2, 500)) {
      const view = await this.get(id, options);
      if (isFinalBuildState(view.state)) return view;
      await new Promise((resolve) => setTimeout(resolve, delayMs));
      options.signal?.throwIfAborted();
    }
  }

  list(query: ListBuilds = {}): Promise<Page<BuildSummary>> {
    return this.transport.call({ method: 'GET', path: '/v1/builds', query: { ...query } }, pageSchema(buildSummarySchema));
  }

  /** Idempotent: a build that is over stays as it is. */
  cancel(id: string): Promise<BuildView> {
    return this.transport.call({ method: 'POST', path: `${pathOf(id)}/cancel` }, buildViewSchema);
  }

  /** See `followBuildLogs`. */
  logs(id: string, options: FollowOptions = {}): AsyncGenerator<BuildFrame> {
    return followBuildLogs(this.transport, id, options);
  }

  /** What the log holds now, with the end frame when the build is over; it does not wait for more. */
  async *logsSoFar(id: string, { after = 0, signal }: { after?: number; signal?: AbortSignal } = {}): AsyncGenerator<BuildFrame> {
    for await (const line of this.transport.lines({ method: 'GET', path: `${pathOf(id)}/logs`, query: { after, follow: false }, signal })) yield frameOf(buildFrameSchema, line);
  }

  #post(what: Pick<Call, 'body' | 'bytes'>, headers: Record<string, string>, { idempotencyKey, signal }: CreateBuildOptions): Promise<BuildView> {
    const all = { ...headers, ...(idempotencyKey === undefined ? {} : { 'idempotency-key': idempotencyKey }) };
    return this.transport.call({ method: 'POST', path: '/v1/builds', ...what, headers: all, signal }, buildViewSchema);
  }
}

function pathOf(id: string): string {
  return `/v1/builds/${encodeURIComponent(id)}`;
}
