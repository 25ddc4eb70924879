import { LOG_CLOSE_CODES, processExitFrameSchema, type ProcessCommand, type ProcessExit } from '#contracts';
import { isErrorCode } from '#kernel';
import { once } from 'node:events';
import WebSocket, { type RawData } from 'ws';
import { z } from 'zod';
import { SandbarApiError, errorOfAnswer, unreachable } from './errors.js';
import { FrameQueue } from './frame-queue.js';
import type { Transport } from './transport.js';

const HEAD_BYTES = 9;
const PIECE_BYTES = 512 * 1024;
const STREAMS = { 1: 'stdout', 2: 'stderr' } as const;

export interface ProcessChunk {
  readonly type: 'output';
  readonly seq: number;
  /** A terminal has only `stdout`. */
  readonly stream: 'stdout' | 'stderr';
  readonly bytes: Buffer;
}

const errorSchema = z.object({ type: z.literal('error'), error: z.object({ code: z.string(), message: z.string() }) });
const textSchema = z.discriminatedUnion('type', [processExitFrameSchema, errorSchema]);

/** One WebSocket of a process: output in binary messages (u8 stream, u64 BE seq, bytes), its end and failures as text; input goes the other way. */
export class ProcessSocket {
  readonly frames = new FrameQueue<ProcessChunk | ProcessExit>({
    onFull: () => {
      this.#socket.pause();
    },
    onDrained: () => {
      this.#socket.resume();
    },
  });
  complete = false;
  readonly #socket: WebSocket;

  constructor(
    private readonly transport: Transport,
    path: string,
    query: Readonly<Record<string, string>>,
  ) {
    const { url, headers } = transport.socket(path, query);
    this.#socket = new WebSocket(url, { headers, handshakeTimeout: 10_000, maxPayload: 32 * 1024 * 1024, perMessageDeflate: false });
    this.#socket.on('message', (data, isBinary) => {
      this.#receive(bytesOf(data), isBinary);
    });
    this.#socket.on('unexpected-response', (request, answer) => {
      let body = '';
      answer.setEncoding('utf8').on('data', (chunk: string) => (body += chunk.slice(0, 64 * 1024)));
      answer.on('end', () => {
        this.frames.fail(errorOfAnswer(answer.statusCode ?? 0, body));
        request.destroy();
      });
    });
    this.#socket.on('error', (error) => {
      this.frames.fail(unreachable(transport.url, error));
    });
    this.#socket.on('close', (code) => {
      this.complete = code === LOG_CLOSE_CODES.complete;
      this.frames.end();
    });
  }

  /** Resolves when the bytes have left: who waits for it keeps to the process's pace. @throws SandbarApiError `unavailable` */
  async write(bytes: Uint8Array): Promise<void> {
    for (let at = 0; at < bytes.length; at += PIECE_BYTES) await this.#send(bytes.subarray(at, at + PIECE_BYTES));
  }

  async command(command: ProcessCommand): Promise<void> {
    await this.#send(JSON.stringify(command));
  }

  /** The process goes on. */
  close(): void {
    // Events of a connection that nobody reads any more; an 'error' without a listener would end the process.
    this.#socket.removeAllListeners();
    this.#socket.on('error', () => undefined);
    this.#socket.terminate();
    this.frames.end();
  }

  async #send(message: Uint8Array | string): Promise<void> {
    if (this.#socket.readyState === WebSocket.CONNECTING) await once(this.#socket, 'open').catch(() => undefined);
    await new Promise<void>((resolve, reject) => {
      this.#socket.send(message, (error) => {
        if (error == null) resolve();
        else reject(unreachable(this.transport.url, error));
      });
    });
  }

  #receive(bytes: Buffer, isBinary: boolean): void {
    const frame = isBinary ? chunkOf(bytes) : textSchema.safeParse(parsed(bytes)).data;
    if (frame === undefined) this.frames.fail(new SandbarApiError('protocol_violation', 'the process sent something that is no frame', 0, undefined));
    else if (frame.type !== 'error') this.frames.push(frame);
    // What was asked for in vain (a signal, input that is not taken) ends nothing; what ends the stream is told by its close.
    else if (frame.error.code === 'gone' || frame.error.code === 'not_found') this.frames.fail(new SandbarApiError(isErrorCode(frame.error.code) ? frame.error.code : 'internal', frame.error.message, 0, undefined));
  }
}

function chunkOf(message: Buffer): ProcessChunk | undefined {
  const stream = STREAMS[message[0] as 1 | 2] as 'stdout' | 'stderr' | undefined;
  if (stream === undefined || message.length < HEAD_BYTES) return undefined;
  return { type: 'output', seq: Number(message.readBigUInt64BE(1)), stream, bytes: message.subarray(HEAD_BYTES) };
}

function parsed(bytes: Buffer): unknown {
  try {
    return JSON.parse(bytes.toString()) as unknown;
  } catch {
    return undefined;
  }
}

function bytesOf(data: RawData): Buffer {
  return Buffer.isBuffer(data) ? data : Buffer.concat(Array.isArray(data) ? data : [Buffer.from(data)]);
}
