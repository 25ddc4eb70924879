import { LOG_CLOSE_CODES, logFrameSchema, type LogFrame } from '#contracts';
import type { ErrorCode } from '#kernel';
import WebSocket, { type RawData } from 'ws';
import { SandbarApiError, errorOfAnswer, unreachable } from './errors.js';
import { FrameQueue } from './frame-queue.js';
import type { Transport } from './transport.js';

export interface FollowOptions {
  /** Frames up to this `seq` are known; default 0: from the start. */
  readonly after?: number;
  readonly signal?: AbortSignal;
  /** How often in a row a broken connection is made anew without a frame in between; default 8. */
  readonly attempts?: number;
}

const FIRST_DELAY_MS = 100;
const LONGEST_DELAY_MS = 3000;

const FINAL_CLOSE_CODES: Readonly<Record<number, ErrorCode>> = {
  [LOG_CLOSE_CODES.unauthenticated]: 'unauthenticated',
  [LOG_CLOSE_CODES.forbidden]: 'permission_denied',
  [LOG_CLOSE_CODES.notFound]: 'not_found',
  [LOG_CLOSE_CODES.gone]: 'gone',
  [LOG_CLOSE_CODES.invalid]: 'invalid_argument',
};

/**
 * The frames of a run in order, each once, up to and including its end frame. A connection that breaks before is made anew after the
 * last frame that came, so neither a restart of the gateway nor a slow reader loses or repeats one.
 * @throws SandbarApiError when the log cannot be had, or the connection stays broken
 */
export async function* followLogs(transport: Transport, runId: string, options: FollowOptions = {}): AsyncGenerator<LogFrame> {
  let after = options.after ?? 0;
  let failures = 0;
  for (;;) {
    const connection = new LogConnection(transport, runId, after, options.signal);
    try {
      for await (const frame of connection.frames) {
        if (frame.seq <= after) continue;
        after = frame.seq;
        failures = 0;
        yield frame;
        if (frame.type === 'end') return;
      }
    } catch (error) {
      if (!(error instanceof SandbarApiError && error.retryable) || failures >= (options.attempts ?? 8)) throw error;
    } finally {
      connection.close();
    }
    options.signal?.throwIfAborted();
    if (failures > (options.attempts ?? 8)) throw new SandbarApiError('unavailable', 'the log stream breaks off again and again', 0, undefined, { runId, after });
    await pause(Math.min(FIRST_DELAY_MS * 2 ** failures, LONGEST_DELAY_MS), options.signal);
    failures += 1;
  }
}

/** One WebSocket. Its frames end when it closes, and throw when no new one would do better. */
class LogConnection {
  readonly frames = new FrameQueue<LogFrame>({
    onFull: () => {
      this.#socket.pause();
    },
    onDrained: () => {
      this.#socket.resume();
    },
  });
  readonly #socket: WebSocket;
  readonly #unlisten: () => void;

  constructor(transport: Transport, runId: string, after: number, signal: AbortSignal | undefined) {
    const { url, headers } = transport.socket(`/v1/runs/${encodeURIComponent(runId)}/logs`, { after: String(after) });
    this.#socket = new WebSocket(url, { headers, handshakeTimeout: 10_000, maxPayload: 16 * 1024 * 1024 });
    this.#socket.on('message', (data, isBinary) => {
      this.#receive(data, isBinary);
    });
    this.#socket.on('unexpected-response', (request, answer) => {
      let body = '';
      answer.setEncoding('utf8');
      answer.on('data', (chunk: string) => (body += chunk.slice(0, 64 * 1024)));
      answer.on('end', () => {
        this.frames.fail(errorOfAnswer(answer.statusCode ?? 0, body));
        request.destroy();
      });
    });
    this.#socket.on('error', (error) => {
      this.frames.fail(unreachable(transport.url, error));
    });
    this.#socket.on('close', (code, reason) => {
      const final = FINAL_CLOSE_CODES[code];
      if (final === undefined) this.frames.end();
      else this.frames.fail(new SandbarApiError(final, reason.toString('utf8') || `the log stream was closed (${code})`, 0, undefined, { runId }));
    });
    const abort = () => {
      this.frames.fail(signal?.reason);
    };
    signal?.addEventListener('abort', abort, { once: true });
    if (signal?.aborted === true) abort();
    this.#unlisten = () => {
      signal?.removeEventListener('abort', abort);
    };
  }

  close(): void {
    this.#unlisten();
    // Events of a connection that nobody reads any more; an 'error' without a listener would end the process.
    this.#socket.removeAllListeners();
    this.#socket.on('error', () => undefined);
    this.#socket.terminate();
  }

  #receive(data: RawData, isBinary: boolean): void {
    const parsed = isBinary ? undefined : logFrameSchema.safeParse(parseFrame(data));
    if (parsed?.success === true) this.frames.push(parsed.data);
    else this.frames.fail(new SandbarApiError('protocol_violation', 'the log stream sent something that is no frame', 0, undefined));
  }
}

function parseFrame(data: RawData): unknown {
  const text = Buffer.isBuffer(data) ? data.toString('utf8') : Array.isArray(data) ? Buffer.concat(data).toString('utf8') : Buffer.from(data).toString('utf8');
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}

function pause(ms: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    const finish = () => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', finish);
      if (signal?.aborted === true) reject(signal.reason as Error);
      else resolve();
    };
    const timer = setTimeout(finish, ms);
    signal?.addEventListener('abort', finish, { once: true });
  });
}
