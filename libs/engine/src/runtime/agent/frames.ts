import { CodedError } from '#kernel';

/** The frames of docs/engine/agent-protocol.md. Here bytes become frames; what a frame means is in messages.ts. */
export const PROTOCOL_VERSION = 3;
export const PROTOCOL_MAGIC = 0x41584253;
export const HEADER_BYTES = 20;
/** Of a whole frame, header included, either way. */
export const MAX_FRAME_BYTES = 1 << 20;
export const MAX_PAYLOAD_BYTES = MAX_FRAME_BYTES - HEADER_BYTES;
/** Of the data in one output event or one piece of a file. */
export const MAX_CHUNK_BYTES = 65_536;

export const FrameType = {
  hello: 0x01,
  acknowledge: 0x02,
  start: 0x10,
  stdin: 0x11,
  closeStdin: 0x12,
  signal: 0x13,
  killAll: 0x14,
  resize: 0x15,
  writeFile: 0x16,
  writeData: 0x17,
  readFile: 0x18,
  ping: 0x19,
  flow: 0x1a,
  welcome: 0x81,
  reply: 0x82,
  fileData: 0x83,
  bye: 0x84,
  started: 0x90,
  output: 0x91,
  exit: 0x92,
} as const;

/** On writeFile and writeData: another writeData follows. */
export const FLAG_MORE = 0x01;
/** Of a signal. */
export const FLAG_ALONE = 0x01;
/** Of flow: hold. */
export const FLAG_HOLD = 0x01;

export interface Frame {
  readonly type: number;
  readonly flags: number;
  /** Of the request, or of the process in an event. */
  readonly id: number;
  /** Of the event; in the answer to stdin how many bytes of it are taken; 0 elsewhere. */
  readonly seq: number;
  readonly payload: Buffer;
}

export function protocolViolation(message: string): CodedError {
  return new CodedError('protocol_violation', `guest agent: ${message}`);
}

/** A u64 that JavaScript holds exactly. @throws CodedError `protocol_violation` */
export function readUInt64(bytes: Buffer, offset: number): number {
  const value = bytes.readUInt32LE(offset + 4) * 0x1_0000_0000 + bytes.readUInt32LE(offset);
  if (!Number.isSafeInteger(value)) throw protocolViolation('a number beyond 2^53');
  return value;
}

export function writeUInt64(bytes: Buffer, value: number, offset: number): void {
  bytes.writeUInt32LE(value % 0x1_0000_0000, offset);
  bytes.writeUInt32LE(Math.floor(value / 0x1_0000_0000), offset + 4);
}

/** The header of a frame whose payload has `length` bytes. */
export function encodeHeader(type: number, fields: { readonly flags?: number; readonly id?: number; readonly seq?: number }, length: number): Buffer {
  if (length > MAX_PAYLOAD_BYTES) throw new CodedError('invalid_argument', `a request of ${length} bytes is larger than a frame`, { maxBytes: MAX_PAYLOAD_BYTES });
  const header = Buffer.alloc(HEADER_BYTES);
  header.writeUInt32LE(length, 0);
  header.writeUInt8(type, 4);
  header.writeUInt8(fields.flags ?? 0, 5);
  header.writeUInt32LE(fields.id ?? 0, 8);
  writeUInt64(header, fields.seq ?? 0, 12);
  return header;
}

export function encodeFrame(type: number, fields: { readonly flags?: number; readonly id?: number; readonly seq?: number }, payload: Uint8Array = Buffer.alloc(0)): Buffer {
  return Buffer.concat([encodeHeader(type, fields, payload.length), payload]);
}

/** Cuts a stream of bytes into frames. Holds at most one unfinished frame. */
export class FrameDecoder {
  private readonly chunks: Buffer[] = [];
  private available = 0;
  /** Of the frame that the first byte begins; 0 while its header is not whole. */
  private wanted = 0;

  /**
   * Every frame that is whole with these bytes. Its payload may share memory with `bytes`.
   * @throws CodedError `protocol_violation`; the decoder must not be used any more
   */
  push(bytes: Buffer): Frame[] {
    if (bytes.length > 0) this.keep(bytes);
    const frames: Frame[] = [];
    for (;;) {
      if (this.wanted === 0 && this.available >= HEADER_BYTES) this.wanted = frameLength(this.front(HEADER_BYTES));
      if (this.wanted === 0 || this.available < this.wanted) return frames;
      frames.push(decodeFrame(this.take(this.wanted)));
      this.wanted = 0;
    }
  }

  /** Bytes of a frame that is not whole yet. */
  get pendingBytes(): number {
    return this.available;
  }

  /** What lies right behind the bytes before is one piece with them. */
  private keep(bytes: Buffer): void {
    const last = this.chunks.at(-1);
    if (last?.buffer === bytes.buffer && last.byteOffset + last.length === bytes.byteOffset) this.chunks[this.chunks.length - 1] = Buffer.from(last.buffer, last.byteOffset, last.length + bytes.length);
    else this.chunks.push(bytes);
    this.available += bytes.length;
  }

  private front(length: number): Buffer {
    const first = this.chunks[0];
    if (first !== undefined && first.length >= length) return first;
    const joined = Buffer.concat(this.chunks);
    this.chunks.splice(0, this.chunks.length, joined);
    return joined;
  }

  private take(length: number): Buffer {
    const front = this.front(length);
    if (front.length === length) this.chunks.shift();
    else this.chunks[0] = front.subarray(length);
    this.available -= length;
    return front.subarray(0, length);
  }
}

function frameLength(header: Buffer): number {
  const length = header.readUInt32LE(0);
  if (length > MAX_PAYLOAD_BYTES) throw protocolViolation(`a frame of ${length} bytes`);
  if (header.readUInt16LE(6) !== 0) throw protocolViolation('reserved bits are set');
  return HEADER_BYTES + length;
}

function decodeFrame(bytes: Buffer): Frame {
  return {
    type: bytes.readUInt8(4),
    flags: bytes.readUInt8(5),
    id: bytes.readUInt32LE(8),
    seq: readUInt64(bytes, 12),
    payload: bytes.subarray(HEADER_BYTES),
  };
}
