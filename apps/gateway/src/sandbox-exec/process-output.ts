import type { Duplex } from 'node:stream';
import { z } from 'zod';
import { outputFramesOf, type ProcessExit, type ProcessOutput, type ProcessOutputFrame } from '#contracts';
import { CodedError, isErrorCode } from '#kernel';
import { brokenOff } from '../nodes/node-connection.js';
import { signalName } from './exec-view.js';

const endSchema = z.object({ exitCode: z.int().optional(), signal: z.int().nullable().optional() });
const errorSchema = z.object({ code: z.string(), message: z.string() });

export interface OutputChunk {
  readonly type: 'output';
  readonly seq: number;
  readonly stream: 'stdout' | 'stderr';
  readonly timeMs: number;
  readonly bytes: Buffer;
}

/**
 * What a tunnel of frames says: chunks, then exactly one exit. One that was only detached from ends without it. Closes the tunnel when it ends, or is left.
 * @throws CodedError what the node says, `gone` (what comes behind `after` is not kept any more), `unavailable` when it broke off
 */
export async function* outputOf(socket: Duplex, after?: number): AsyncGenerator<OutputChunk | ProcessExit, void, undefined> {
  let last = after;
  try {
    // Left behind the last frame, the connection is in order: it is destroyed below and not for an error.
    for await (const frame of outputFramesOf(socket.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>)) {
      if (frame.kind === 'error') throw failureOf(frame);
      if (frame.kind === 'end') {
        const exit = exitOf(frame);
        if (exit !== undefined) yield exit;
        return;
      }
      if (last !== undefined && frame.seq > last + 1) throw new CodedError('gone', 'some of the output behind `after` is no longer there', { after: last, next: frame.seq });
      last = frame.seq;
      yield { type: 'output', seq: frame.seq, stream: frame.kind, timeMs: frame.timeMs, bytes: frame.bytes };
    }
  } catch (error) {
    throw brokenOff(error);
  } finally {
    socket.destroy();
  }
  throw new CodedError('unavailable', 'the node broke off');
}

/** As text where it is text. */
export function toOutputFrame({ seq, stream, timeMs, bytes }: OutputChunk): ProcessOutput {
  const text = textOf(bytes);
  return { type: 'output', seq, stream, data: text ?? bytes.toString('base64'), encoding: text === undefined ? 'base64' : 'utf8', time: timeMs };
}

/** Undefined when it is not valid UTF-8. */
export function textOf(bytes: Buffer): string | undefined {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return undefined;
  }
}

function exitOf({ bytes }: ProcessOutputFrame): ProcessExit | undefined {
  const { exitCode, signal } = parsed(endSchema, bytes);
  if (exitCode === undefined) return undefined;
  const name = signalName(signal ?? null);
  return { type: 'exit', exitCode: name === null ? exitCode : null, signal: name };
}

function failureOf({ bytes }: ProcessOutputFrame): CodedError {
  const { code, message } = parsed(errorSchema, bytes);
  return new CodedError(isErrorCode(code) ? code : 'internal', message);
}

function parsed<T>(schema: z.ZodType<T>, bytes: Buffer): T {
  try {
    return schema.parse(JSON.parse(bytes.toString()));
  } catch {
    throw new CodedError('protocol_violation', "the node's last frame is malformed");
  }
}
