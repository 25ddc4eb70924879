import type { IncomingMessage } from 'node:http';
import { CodedError } from '#kernel';
import { brokenOff, parseJson } from './node-connection.js';

const MAX_LINE_BYTES = 1024 * 1024;
const LOG_HEAD_BYTES = 16;
const MAX_LOG_BYTES = 16 * 1024 * 1024;

export interface LogChunkView {
  readonly stream: 'stdout' | 'stderr';
  readonly timeMs: number;
  readonly bytes: Buffer;
}

/** One value a line. To stop early ends the node's work. @throws CodedError `unavailable` when the node broke off, `protocol_violation` */
export async function* linesOf(answer: IncomingMessage): AsyncGenerator<unknown, void, undefined> {
  let parts: Buffer[] = [];
  let held = 0;
  for await (const chunk of chunksOf(answer)) {
    let from = 0;
    for (let at = chunk.indexOf(10); at >= 0; at = chunk.indexOf(10, from)) {
      parts.push(chunk.subarray(from, at));
      yield parseJson(Buffer.concat(parts));
      parts = [];
      held = 0;
      from = at + 1;
    }
    held += chunk.length - from;
    if (held > MAX_LINE_BYTES) throw new CodedError('protocol_violation', 'a line of the node is too long');
    if (from < chunk.length) parts.push(chunk.subarray(from));
  }
  if (held > 0) throw new CodedError('protocol_violation', 'the last line of the node is cut');
}

/** Of an answer that has one line. @throws as `linesOf` */
export async function oneValue(answer: IncomingMessage): Promise<unknown> {
  for await (const value of linesOf(answer)) return value;
  return parseJson('');
}

/** @throws as `linesOf` */
export async function* logChunksOf(answer: IncomingMessage): AsyncGenerator<LogChunkView, void, undefined> {
  let buffer: Buffer = Buffer.alloc(0);
  for await (const chunk of chunksOf(answer)) {
    buffer = buffer.length === 0 ? chunk : Buffer.concat([buffer, chunk]);
    while (buffer.length >= LOG_HEAD_BYTES) {
      const length = buffer.readUInt32BE(4);
      if ((buffer[0] !== 1 && buffer[0] !== 2) || length > MAX_LOG_BYTES) throw new CodedError('protocol_violation', 'a frame of the node is malformed');
      if (buffer.length < LOG_HEAD_BYTES + length) break;
      yield { stream: buffer[0] === 1 ? 'stdout' : 'stderr', timeMs: Number(buffer.readBigUInt64BE(8)), bytes: buffer.subarray(LOG_HEAD_BYTES, LOG_HEAD_BYTES + length) };
      buffer = buffer.subarray(LOG_HEAD_BYTES + length);
    }
  }
  if (buffer.length > 0) throw new CodedError('protocol_violation', 'the last frame of the node is cut');
}

async function* chunksOf(answer: IncomingMessage): AsyncGenerator<Buffer, void, undefined> {
  try {
    for await (const chunk of answer as AsyncIterable<Buffer>) yield chunk;
  } catch (error) {
    throw brokenOff(error);
  }
}
