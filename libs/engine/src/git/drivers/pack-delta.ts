import { CodedError } from '#kernel';

/** What a delta says of its base and its result, and where its instructions begin. */
export interface DeltaHead {
  readonly baseSize: number;
  readonly size: number;
  readonly at: number;
}

/** A range of the base, or bytes of the delta's own. */
export type DeltaPart = { readonly kind: 'copy'; readonly offset: number; readonly length: number } | { readonly kind: 'insert'; readonly bytes: Buffer };

const COPY = 0x80;
/** Of a copy that says no length. */
const DEFAULT_COPY_BYTES = 0x10000;

/** gitformat-pack(5), "Deltified representation". @throws CodedError `protocol_violation` */
export function deltaHead(delta: Buffer): DeltaHead {
  const [baseSize, afterBase] = sizeAt(delta, 0);
  const [size, at] = sizeAt(delta, afterBase);
  return { baseSize, size, at };
}

/** @throws CodedError `protocol_violation`: beyond the base, cut, longer than it says */
export function* deltaParts(delta: Buffer, { baseSize, size, at: start }: DeltaHead): Generator<DeltaPart, void, undefined> {
  let left = size;
  for (let at = start; at < delta.length; ) {
    const instruction = delta[at] ?? 0;
    at += 1;
    let part: DeltaPart;
    if ((instruction & COPY) !== 0) {
      let [offset, length] = [0, 0];
      for (let byte = 0; byte < 4; byte += 1) if ((instruction & (1 << byte)) !== 0) offset += byteAt(delta, at++) * 2 ** (8 * byte);
      for (let byte = 0; byte < 3; byte += 1) if ((instruction & (0x10 << byte)) !== 0) length += byteAt(delta, at++) * 2 ** (8 * byte);
      if (length === 0) length = DEFAULT_COPY_BYTES;
      if (offset + length > baseSize) throw broken('copies what is not in its base');
      part = { kind: 'copy', offset, length };
      left -= length;
    } else {
      if (instruction === 0 || at + instruction > delta.length) throw broken('has an instruction that is none');
      part = { kind: 'insert', bytes: delta.subarray(at, at + instruction) };
      at += instruction;
      left -= instruction;
    }
    if (left < 0) throw broken('is longer than it says');
    yield part;
  }
}

/** Seven bits a byte, the lowest first. */
function sizeAt(bytes: Buffer, from: number): [number, number] {
  let size = 0;
  for (let at = from, scale = 1; ; at += 1, scale *= 128) {
    const byte = byteAt(bytes, at);
    size += (byte & 0x7f) * scale;
    if (size > Number.MAX_SAFE_INTEGER) throw broken('has a size that is none');
    if ((byte & 0x80) === 0) return [size, at + 1];
  }
}

function byteAt(bytes: Buffer, at: number): number {
  const byte = bytes[at];
  if (byte === undefined) throw broken('is cut');
  return byte;
}

function broken(how: string): CodedError {
  return new CodedError('protocol_violation', `a delta of the pack ${how}`);
}
