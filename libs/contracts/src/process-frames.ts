import { CodedError } from '#kernel';

/** What a node says of a process: the kinds of its frames. */
export const OUTPUT_KINDS = { stdout: 1, stderr: 2, end: 3, error: 4 } as const;
/** What it is told. */
export const INPUT_KINDS = { stdin: 1, end: 2, resize: 3, detach: 4 } as const;
/** Of one frame to the node. */
export const MAX_INPUT_FRAME_BYTES = 1024 * 1024;
const MAX_OUTPUT_FRAME_BYTES = 16 * 1024 * 1024;

const OUTPUT_HEAD_BYTES = 24;
const INPUT_HEAD_BYTES = 8;

export type OutputKind = keyof typeof OUTPUT_KINDS;
export type InputKind = keyof typeof INPUT_KINDS;

export interface ProcessOutputFrame {
  readonly kind: OutputKind;
  /** Of the process's log; 0 in `end` and `error`. */
  readonly seq: number;
  readonly timeMs: number;
  /** Output; JSON `{exitCode?, signal?}` of `end` and `{code, message}` of `error`. */
  readonly bytes: Buffer;
}

export interface ProcessInputFrame {
  readonly kind: InputKind;
  /** Input; of `resize` u16 BE columns, u16 BE rows. */
  readonly bytes: Buffer;
}

/** u8 kind, 3 zeros, u32 BE length of the bytes, u64 BE seq, u64 BE milliseconds; the bytes follow. */
export function outputFrameHead({ kind, seq, timeMs, bytes }: ProcessOutputFrame): Buffer {
  const head = Buffer.alloc(OUTPUT_HEAD_BYTES);
  head.writeUInt8(OUTPUT_KINDS[kind], 0);
  head.writeUInt32BE(bytes.length, 4);
  head.writeBigUInt64BE(BigInt(seq), 8);
  head.writeBigUInt64BE(BigInt(Math.trunc(timeMs)), 16);
  return head;
}

/** u8 kind, 3 zeros, u32 BE length of the bytes; the bytes follow, at most `MAX_INPUT_FRAME_BYTES`. */
export function inputFrameHead(kind: InputKind, length: number): Buffer {
  const head = Buffer.alloc(INPUT_HEAD_BYTES);
  head.writeUInt8(INPUT_KINDS[kind], 0);
  head.writeUInt32BE(length, 4);
  return head;
}

export function inputFrame(kind: InputKind, bytes: Uint8Array = Buffer.alloc(0)): Buffer {
  return Buffer.concat([inputFrameHead(kind, bytes.length), bytes]);
}

export function resizeFrame({ columns, rows }: { readonly columns: number; readonly rows: number }): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt16BE(columns, 0);
  bytes.writeUInt16BE(rows, 2);
  return inputFrame('resize', bytes);
}

/** @throws CodedError `protocol_violation` */
export async function* outputFramesOf(source: AsyncIterable<Buffer>): AsyncGenerator<ProcessOutputFrame, void, undefined> {
  for await (const { head, bytes } of framesOf(source, OUTPUT_HEAD_BYTES, MAX_OUTPUT_FRAME_BYTES)) {
    const kind = nameOf(OUTPUT_KINDS, head[0]);
    yield { kind, seq: Number(head.readBigUInt64BE(8)), timeMs: Number(head.readBigUInt64BE(16)), bytes };
  }
}

/** @throws CodedError `protocol_violation` */
export async function* inputFramesOf(source: AsyncIterable<Buffer>): AsyncGenerator<ProcessInputFrame, void, undefined> {
  for await (const { head, bytes } of framesOf(source, INPUT_HEAD_BYTES, MAX_INPUT_FRAME_BYTES)) {
    const kind = nameOf(INPUT_KINDS, head[0]);
    if (kind === 'resize' && bytes.length !== 4) throw malformed();
    yield { kind, bytes };
  }
}

async function* framesOf(source: AsyncIterable<Buffer>, headBytes: number, maxBytes: number): AsyncGenerator<{ readonly head: Buffer; readonly bytes: Buffer }, void, undefined> {
  let parts: Buffer[] = [];
  let held = 0;
  // Joined only when a whole frame is there: a large frame in small pieces is copied once.
  let wanted = headBytes;
  for await (const chunk of source) {
    parts.push(chunk);
    held += chunk.length;
    if (held < wanted) continue;
    let buffer = parts.length === 1 ? chunk : Buffer.concat(parts);
    for (;;) {
      wanted = buffer.length < headBytes ? headBytes : headBytes + lengthIn(buffer, maxBytes);
      if (buffer.length < wanted) break;
      yield { head: buffer.subarray(0, headBytes), bytes: buffer.subarray(headBytes, wanted) };
      buffer = buffer.subarray(wanted);
    }
    parts = buffer.length === 0 ? [] : [buffer];
    held = buffer.length;
  }
  if (held > 0) throw new CodedError('protocol_violation', 'the last frame is cut');
}

function lengthIn(head: Buffer, maxBytes: number): number {
  const length = head.readUInt32BE(4);
  if (length > maxBytes) throw malformed();
  return length;
}

function nameOf<K extends string>(kinds: Readonly<Record<K, number>>, number: number | undefined): K {
  for (const name of Object.keys(kinds) as K[]) if (kinds[name] === number) return name;
  throw malformed();
}

function malformed(): CodedError {
  return new CodedError('protocol_violation', 'a frame is malformed');
}
