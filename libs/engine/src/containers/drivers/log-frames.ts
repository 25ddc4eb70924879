/**
 * The log of a process on disk: the agent's events of it, in order, as frames of 40 bytes of header and the payload (little-endian):
 * u8 magic, u8 type, u16 zero, u32 payload bytes, u32 start (how many times the container had been started), u32 value, u64 microseconds, u64 the agent's
 * number of the event, u64 pieces of output until here.
 * It is output and journal in one: what stands in it is acknowledged to the agent, so a worker that dies neither loses nor doubles anything.
 */
export const FRAME_HEADER_BYTES = 40;
/** An agent's piece is at most 64 KiB. */
export const MAX_FRAME_PAYLOAD = 64 * 1024;
const MAGIC = 0xb6;
const TYPES = [undefined, 'stdout', 'stderr', 'started', 'exited', 'signalled'] as const;
const HIGH_WORD = 0x1_0000_0000;

/** `started`: execve, `value` being the pid. `exited`, `signalled`: the end, `value` being the exit code or the signal. */
export type FrameType = NonNullable<(typeof TYPES)[number]>;

export interface FrameHead {
  readonly type: FrameType;
  readonly length: number;
  readonly start: number;
  readonly value: number;
  readonly timeUs: number;
  readonly seq: number;
  /** Of a piece of output its number in this log, from 1 without gaps; of another frame that of the last piece before it. */
  readonly number: number;
}

export interface LogFrame {
  readonly head: FrameHead;
  readonly payload: Buffer;
}

/** On disk. */
export function frameBytes({ payload }: LogFrame): number {
  return FRAME_HEADER_BYTES + payload.length;
}

export function isOutput({ type }: FrameHead): boolean {
  return type === 'stdout' || type === 'stderr';
}

export function isEnd({ type }: FrameHead): boolean {
  return type === 'exited' || type === 'signalled';
}

/** What stands before the payload. */
export function encodeLogHead(head: FrameHead): Buffer {
  const out = Buffer.allocUnsafe(FRAME_HEADER_BYTES);
  out.writeUInt8(MAGIC, 0);
  out.writeUInt8(TYPES.indexOf(head.type), 1);
  out.writeUInt16LE(0, 2);
  out.writeUInt32LE(head.length, 4);
  out.writeUInt32LE(head.start, 8);
  out.writeUInt32LE(head.value, 12);
  writeNumber(out, Math.max(0, Math.trunc(head.timeUs)), 16);
  writeNumber(out, head.seq, 24);
  writeNumber(out, head.number, 32);
  return out;
}

/** The head of the frame at `offset`; undefined when no whole and sound one begins there: the end, or what a crash has torn. */
export function decodeLogFrame(bytes: Buffer, offset: number): FrameHead | undefined {
  if (bytes.length - offset < FRAME_HEADER_BYTES || bytes.readUInt8(offset) !== MAGIC || bytes.readUInt16LE(offset + 2) !== 0) return undefined;
  const type = TYPES[bytes.readUInt8(offset + 1)];
  const length = bytes.readUInt32LE(offset + 4);
  if (type === undefined || length > MAX_FRAME_PAYLOAD || bytes.length - offset - FRAME_HEADER_BYTES < length) return undefined;
  return {
    type,
    length,
    start: bytes.readUInt32LE(offset + 8),
    value: bytes.readUInt32LE(offset + 12),
    timeUs: readNumber(bytes, offset + 16),
    seq: readNumber(bytes, offset + 24),
    number: readNumber(bytes, offset + 32),
  };
}

/** The whole frames at the beginning of `bytes`, and how many bytes they take. */
export function* logFrames(bytes: Buffer): Generator<LogFrame, number> {
  let offset = 0;
  for (let head = decodeLogFrame(bytes, offset); head !== undefined; head = decodeLogFrame(bytes, offset)) {
    const end = offset + FRAME_HEADER_BYTES + head.length;
    yield { head, payload: bytes.subarray(offset + FRAME_HEADER_BYTES, end) };
    offset = end;
  }
  return offset;
}

function writeNumber(bytes: Buffer, value: number, offset: number): void {
  bytes.writeUInt32LE(value % HIGH_WORD, offset);
  bytes.writeUInt32LE(Math.floor(value / HIGH_WORD), offset + 4);
}

function readNumber(bytes: Buffer, offset: number): number {
  return bytes.readUInt32LE(offset + 4) * HIGH_WORD + bytes.readUInt32LE(offset);
}
