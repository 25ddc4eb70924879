import { request as httpRequest, type Agent, type ClientRequest, type IncomingMessage, type RequestOptions } from 'node:http';
import type { Readable } from 'node:stream';
import { errorBodySchema } from '#contracts';
import { asError, CodedError, isErrorCode, StreamGarbage } from '#kernel';
import { targetOf } from './node-rpc.client.js';
import type { NodeSockets } from './node-sockets.js';
import { upgrade, type Upgraded, type UpgradeOptions } from './node-upgrade.js';

/** A node's answer may take what an extraction or a prune takes. */
const JSON_MS = 10 * 60_000;
/** To the first byte of a streamed answer. */
const HEADERS_MS = 5 * 60_000;
const MAX_JSON_BYTES = 64 * 1024 * 1024;
const STALL_MS = 60_000;

/** Of an upload: a node that closed behind a refusal would do so under the rest of the body, and what it said would be lost. */
const KEPT_OPEN = { connection: 'keep-alive' } as const;

/** Without it Node's agent finds out for each request whether the host's name is an address, for TLS that is not there. */
const NO_TLS = { servername: '' };

export interface NodeRequest {
  readonly method: 'GET' | 'POST' | 'PUT' | 'DELETE';
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  /** JSON, or bytes that are sent as they come. */
  readonly body?: { readonly json: unknown } | { readonly stream: Readable };
  readonly signal?: AbortSignal | undefined;
}

/** HTTP to one node: kept-alive connections for JSON, one of its own for each stream. */
export class NodeConnection {
  constructor(
    private readonly rpcUrl: string,
    private readonly token: string,
    private readonly sockets: NodeSockets,
    private readonly stallMs: number = STALL_MS,
  ) {}

  /** @throws CodedError what the node says, `unavailable` when it cannot be asked, `cancelled` on the signal */
  async json(request: NodeRequest): Promise<unknown> {
    const answer = await this.exchange(request, request.body !== undefined && 'stream' in request.body ? false : this.sockets.agent, JSON_MS);
    return parseJson(await readAll(answer, MAX_JSON_BYTES));
  }

  /** Resolves when the headers are there. To destroy the answer ends what the node does. @throws as `json` */
  stream(request: NodeRequest): Promise<IncomingMessage> {
    return this.exchange(request, false, HEADERS_MS);
  }

  /** A connection of its own, both ways. The path's route decides before it is there. @throws as `json` */
  upgrade({ headers, ...request }: Pick<UpgradeOptions, 'path' | 'headers' | 'json' | 'signal'>): Promise<Upgraded> {
    const target = targetOf(this.rpcUrl);
    return upgrade({ ...request, connect: () => this.sockets.tunnels.take(target), headers: { ...headers, authorization: `Bearer ${this.token}` }, limitMs: HEADERS_MS }, (status, body) => refusal(status, parsedOrNothing(body)));
  }

  private async exchange(request: NodeRequest, agent: Agent | false, limitMs: number): Promise<IncomingMessage> {
    request.signal?.throwIfAborted();
    const answer = await this.open(request, agent, limitMs);
    if (answer.statusCode === 200) return answer;
    return refused(answer);
  }

  private open({ method, path, headers, body, signal }: NodeRequest, agent: Agent | false, limitMs: number): Promise<IncomingMessage> {
    const target: RequestOptions = targetOf(this.rpcUrl);
    const text = body !== undefined && 'json' in body ? JSON.stringify(body.json) : undefined;
    const stream = body !== undefined && 'stream' in body ? body.stream : undefined;
    return new Promise((resolve, reject) => {
      const sent = httpRequest({
        ...target,
        ...NO_TLS,
        path,
        method,
        agent,
        headers: {
          ...headers,
          authorization: `Bearer ${this.token}`,
          ...(text === undefined ? {} : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) }),
          ...(stream === undefined ? {} : { ...KEPT_OPEN, 'content-type': 'application/octet-stream', 'transfer-encoding': 'chunked' }),
        },
      });
      let answered = false;
      let uploadFailed: Error | undefined;
      const abort = (): void => {
        sent.destroy(new CodedError('cancelled', 'the caller went away'));
      };
      // Of an upload, only once it is with the node: until then it may take as long as it likes.
      let timer = stream === undefined ? setTimeout(late, limitMs) : undefined;
      function late(): void {
        sent.destroy(new CodedError('unavailable', 'the node does not answer in time'));
      }
      const settle = (): void => {
        clearTimeout(timer);
        signal?.removeEventListener('abort', abort);
      };
      signal?.addEventListener('abort', abort, { once: true });
      sent.on('error', (cause) => {
        // The node has answered before it had the whole body: what it says counts.
        if (answered) return;
        settle();
        const error = uploadFailed ?? cause;
        reject(error instanceof CodedError ? error : new CodedError('unavailable', 'the node does not answer', {}, { cause: error }));
      });
      sent.on('response', (answer) => {
        answered = true;
        clearTimeout(timer);
        answer.once('close', settle);
        // Whatever of the body the node did not want: its answer is whole.
        answer.once('close', () => sent.destroy());
        watch(answer, signal);
        if (agent === false) countBuffers(answer);
        resolve(answer);
      });
      if (stream === undefined) {
        sent.end(text);
        return;
      }
      sent.once('finish', () => {
        if (!answered) timer = setTimeout(late, limitMs);
      });
      this.upload(stream, sent, (error) => {
        uploadFailed = error;
      });
    });
  }

  /**
   * The source's failure ends the request, so that the node sees a body that is cut. The source itself is never destroyed: it may be a client's request, whose
   * connection still has to carry the answer.
   */
  private upload(source: Readable, sent: ClientRequest, failed: (error: Error) => void): void {
    let stalled: NodeJS.Timeout | undefined;
    const garbage = new StreamGarbage();
    const cut = (cause?: unknown): void => {
      const error = cause instanceof CodedError ? cause : new CodedError('cancelled', 'the upload was cut off', {}, { cause });
      failed(error);
      sent.destroy(error);
    };
    const closed = (): void => {
      if (!source.readableEnded) cut();
    };
    const moves = (): void => {
      clearTimeout(stalled);
      stalled = undefined;
    };
    const watchdog = (chunk: Buffer): void => {
      garbage.passed(chunk.length);
      if (!sent.writableNeedDrain) return;
      stalled ??= setTimeout(() => sent.destroy(new CodedError('unavailable', 'the node takes nothing')), this.stallMs * 10);
    };
    source.on('error', cut).on('close', closed).on('data', watchdog);
    sent.on('drain', moves).once('close', () => {
      moves();
      source.unpipe(sent).off('close', closed).off('data', watchdog).pause();
    });
    if (source.destroyed) closed();
    else source.pipe(sent);
  }
}

/** Holds nothing back: HTTP's own listener decides when the connection flows. */
function countBuffers({ socket }: IncomingMessage): void {
  const garbage = new StreamGarbage();
  socket.on('data', (chunk: Buffer) => {
    garbage.passed(chunk.length);
  });
}

/** Ends the answer on the signal. A node that goes away in the middle is an error of the stream, never its end. */
function watch(answer: IncomingMessage, signal: AbortSignal | undefined): void {
  const abort = (): void => {
    answer.destroy(new CodedError('cancelled', 'the caller went away'));
  };
  // Whoever reads gets it; a stream that nobody reads yet must not end the process.
  answer.on('error', () => undefined);
  if (signal === undefined) return;
  if (signal.aborted) abort();
  else signal.addEventListener('abort', abort, { once: true });
  answer.once('close', () => {
    signal.removeEventListener('abort', abort);
  });
}

async function readAll(answer: IncomingMessage, maxBytes: number): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  try {
    for await (const chunk of answer as AsyncIterable<Buffer>) {
      bytes += chunk.length;
      if (bytes > maxBytes) throw new CodedError('protocol_violation', "the node's answer is too large");
      chunks.push(chunk);
    }
  } catch (error) {
    throw brokenOff(error);
  }
  return Buffer.concat(chunks);
}

/** What ended a stream of the node, as a CodedError. */
export function brokenOff(error: unknown): CodedError {
  return error instanceof CodedError ? error : new CodedError('unavailable', 'the node broke off', {}, { cause: asError(error) });
}

async function refused(answer: IncomingMessage): Promise<never> {
  throw refusal(answer.statusCode, parsedOrNothing(await readAll(answer, 1024 * 1024).catch(() => Buffer.alloc(0))));
}

function parsedOrNothing(bytes: Buffer): unknown {
  try {
    return parseJson(bytes);
  } catch {
    return undefined;
  }
}

/** A node that refuses our token is our fault, not the caller's. */
function refusal(status: number | undefined, body: unknown): CodedError {
  const parsed = errorBodySchema.safeParse(body);
  if (!parsed.success) return new CodedError('unavailable', 'the node gave no proper answer', { status });
  const { code, message, details } = parsed.data.error;
  if ((code === 'unauthenticated' || code === 'permission_denied') && message === 'a node token is needed') return new CodedError('internal', 'the node refuses the gateway', { code });
  return new CodedError(code, message, details);
}

/** `{error: {code, message}}` of a stream whose headers said nothing wrong yet. */
export function failureIn(value: unknown): CodedError | undefined {
  if (typeof value !== 'object' || value === null || !('error' in value)) return undefined;
  const { error } = value;
  if (typeof error !== 'object' || error === null || !('code' in error) || !('message' in error)) return undefined;
  return new CodedError(isErrorCode(error.code) ? error.code : 'internal', String(error.message));
}

export function parseJson(bytes: Buffer | string): unknown {
  try {
    return JSON.parse(bytes.toString()) as unknown;
  } catch {
    throw new CodedError('protocol_violation', "the node's answer is not JSON");
  }
}
