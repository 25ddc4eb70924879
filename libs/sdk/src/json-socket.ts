import { LOG_CLOSE_CODES } from '#contracts';
import type { ErrorCode } from '#kernel';
import WebSocket, { type RawData } from 'ws';
import type { z } from 'zod';
import { SandbarApiError, errorOfAnswer, unreachable } from './errors.js';
import { FrameQueue } from './frame-queue.js';
import type { Transport } from './transport.js';

const FINAL_CLOSE_CODES: Readonly<Record<number, ErrorCode>> = {
  [LOG_CLOSE_CODES.unauthenticated]: 'unauthenticated',
  [LOG_CLOSE_CODES.forbidden]: 'permission_denied',
  [LOG_CLOSE_CODES.notFound]: 'not_found',
  [LOG_CLOSE_CODES.gone]: 'gone',
  [LOG_CLOSE_CODES.invalid]: 'invalid_argument',
};

export interface JsonSocketOptions<T> {
  readonly path: string;
  /** A list is the parameter several times. */
  readonly query: Readonly<Record<string, string | readonly string[]>>;
  readonly schema: z.ZodType<T>;
  readonly signal: AbortSignal | undefined;
}

/** One WebSocket that sends JSON. Its frames end when it closes, and throw when no new one would do better. */
export class JsonSocket<T> {
  readonly frames = new FrameQueue<T>({
    onFull: () => {
      this.#socket.pause();
    },
    onDrained: () => {
      this.#socket.resume();
    },
  });
  /** Closed as complete. */
  complete = false;
  readonly #socket: WebSocket;
  readonly #unlisten: () => void;

  constructor(transport: Transport, { path, query, schema, signal }: JsonSocketOptions<T>) {
    const { url, headers } = transport.socket(path, query);
    this.#socket = new WebSocket(url, { headers, handshakeTimeout: 10_000, maxPayload: 16 * 1024 * 1024 });
    this.#socket.on('message', (data, isBinary) => {
      const parsed = isBinary ? undefined : schema.safeParse(parseFrame(data));
      if (parsed?.success === true) this.frames.push(parsed.data);
      else this.frames.fail(new SandbarApiError('protocol_violation', `${path} sent something that is no frame`, 0, undefined));
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
      this.complete = code === LOG_CLOSE_CODES.complete;
      if (final === undefined) this.frames.end();
      else this.frames.fail(new SandbarApiError(final, reason.toString('utf8') || `${path} was closed (${code})`, 0, undefined));
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
}

function parseFrame(data: RawData): unknown {
  const text = Buffer.isBuffer(data) ? data.toString('utf8') : Array.isArray(data) ? Buffer.concat(data).toString('utf8') : Buffer.from(data).toString('utf8');
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}
