import { createHash } from 'node:crypto';
import { open, rm, type FileHandle } from 'node:fs/promises';
import { Readable } from 'node:stream';
import { createInflate, inflateSync, type Inflate, type InputType, type ZlibOptions } from 'node:zlib';
import { CodedError, errnoOf } from '#kernel';
import type { PackAllowance } from './pack-allowance.js';

/** An entry's head (gitformat-pack(5), "pack-*.pack files have the following format"). Its data begins behind it. */
export interface PackEntry {
  readonly at: number;
  readonly type: 'commit' | 'tree' | 'blob' | 'tag' | 'offset-delta' | 'named-delta';
  /** Inflated. */
  readonly size: number;
  /** Of a delta: where the base's entry begins, or its hash. */
  readonly base: number | string | undefined;
  readonly dataAt: number;
}

const TYPES = [undefined, 'commit', 'tree', 'blob', 'tag', undefined, 'offset-delta', 'named-delta'] as const;
const HEADER_BYTES = 12;
const TRAILER_BYTES = 20;
/** A head: type and size, then a hash or an offset. */
const MAX_HEAD_BYTES = 64;
const WINDOW_BYTES = 1024 * 1024;
const PIECE_BYTES = 256 * 1024;
/** What is larger is inflated in pieces. */
export const SMALL_BYTES = 4 * 1024 * 1024;

/** A pack in a file of its own, read front to back. Hostile like all that comes from elsewhere: every size is looked at before anything is made for it. */
export class PackReader {
  private window = Buffer.alloc(0);
  private windowAt = 0;

  private constructor(
    private readonly path: string,
    private readonly handle: FileHandle,
    private readonly length: number,
    readonly count: number,
  ) {}

  /** @throws CodedError `protocol_violation` (no pack, or not all of it), `resource_exhausted`. What the source throws, likewise; then nothing is left. */
  static async of(path: string, source: AsyncIterable<Uint8Array>, allowance: PackAllowance): Promise<PackReader> {
    const handle = await open(path, 'wx+', 0o600);
    try {
      const length = await received(handle, source, allowance);
      const header = Buffer.alloc(HEADER_BYTES);
      await handle.read(header, 0, HEADER_BYTES, 0);
      const version = header.readUInt32BE(4);
      if (header.toString('latin1', 0, 4) !== 'PACK' || (version !== 2 && version !== 3)) throw new CodedError('protocol_violation', 'the Git server has sent no pack');
      const count = header.readUInt32BE(8);
      allowance.takeObjects(count);
      return new PackReader(path, handle, length, count);
    } catch (error) {
      await handle.close();
      await rm(path, { force: true });
      throw error;
    }
  }

  /** Of the first entry. */
  get start(): number {
    return HEADER_BYTES;
  }

  async entryAt(at: number): Promise<PackEntry> {
    const bytes = await this.read(at, MAX_HEAD_BYTES);
    let next = 0;
    const take = (): number => {
      const byte = bytes[next];
      if (byte === undefined || next >= MAX_HEAD_BYTES) throw broken();
      next += 1;
      return byte;
    };
    let byte = take();
    const type = TYPES[(byte >> 4) & 7];
    let size = byte & 15;
    for (let scale = 16; (byte & 0x80) !== 0; scale *= 128) {
      byte = take();
      size += (byte & 0x7f) * scale;
    }
    if (type === undefined || !Number.isSafeInteger(size)) throw broken();
    let base: number | string | undefined;
    if (type === 'named-delta') {
      base = bytes.toString('hex', next, next + TRAILER_BYTES);
      next += TRAILER_BYTES;
    } else if (type === 'offset-delta') {
      byte = take();
      let back = byte & 0x7f;
      while ((byte & 0x80) !== 0) {
        byte = take();
        back = (back + 1) * 128 + (byte & 0x7f);
      }
      base = at - back;
      if (back === 0 || base < HEADER_BYTES) throw broken();
    }
    return { at, type, size, base, dataAt: at + next };
  }

  /** All of an entry's data, at most `SMALL_BYTES`. `end`: where the next entry begins. */
  async small({ dataAt, size }: PackEntry): Promise<{ readonly bytes: Buffer; readonly end: number }> {
    for (let ahead = Math.min(WINDOW_BYTES, size + 4096); ; ahead *= 2) {
      const input = await this.read(dataAt, ahead);
      try {
        const { buffer, engine } = inflateWithInfo(input, { maxOutputLength: size + 1, chunkSize: Math.max(64, Math.min(size + 1, 64 * 1024)) });
        return { bytes: buffer, end: dataAt + engine.bytesWritten };
      } catch (error) {
        // Not all of it was there yet.
        if (errnoOf(error) === 'Z_BUF_ERROR' && input.length === ahead) continue;
        throw broken(error);
      }
    }
  }

  /** The same in pieces; `onEnd` is told where the next entry begins. */
  async *large({ dataAt }: PackEntry, onEnd: (end: number) => void): AsyncGenerator<Buffer, void, undefined> {
    const inflate = createInflate({ chunkSize: 128 * 1024 });
    const source = Readable.from(this.from(dataAt), { objectMode: false });
    source.once('error', (error) => inflate.destroy(error));
    source.pipe(inflate);
    try {
      for await (const piece of inflate as AsyncIterable<Buffer>) yield piece;
      onEnd(dataAt + inflate.bytesWritten);
    } catch (error) {
      if (/^Z_/.test(errnoOf(error) ?? '')) throw broken(error);
      throw error;
    } finally {
      source.destroy();
      inflate.destroy();
    }
  }

  async remove(): Promise<void> {
    await this.handle.close();
    await rm(this.path, { force: true });
  }

  private async *from(start: number): AsyncGenerator<Buffer, void, undefined> {
    for (let at = start; at < this.length - TRAILER_BYTES; ) {
      const { buffer, bytesRead } = await this.handle.read(Buffer.allocUnsafe(PIECE_BYTES), 0, undefined, at);
      if (bytesRead === 0) return;
      at += bytesRead;
      yield buffer.subarray(0, bytesRead);
    }
  }

  /** At most so many bytes from there, without the checksum at the end; fewer where the pack ends. */
  private async read(at: number, bytes: number): Promise<Buffer> {
    const wanted = Math.min(bytes, this.length - TRAILER_BYTES - at);
    if (wanted <= 0) throw broken();
    if (at < this.windowAt || at + wanted > this.windowAt + this.window.length) {
      const window = Buffer.allocUnsafe(Math.min(Math.max(WINDOW_BYTES, wanted), this.length - TRAILER_BYTES - at));
      const { bytesRead } = await this.handle.read(window, 0, window.length, at);
      this.window = window.subarray(0, bytesRead);
      this.windowAt = at;
    }
    return this.window.subarray(at - this.windowAt, at - this.windowAt + wanted);
  }
}

/** The last 20 bytes are the hash of all before them. */
async function received(handle: FileHandle, source: AsyncIterable<Uint8Array>, allowance: PackAllowance): Promise<number> {
  const hash = createHash('sha1');
  let held = Buffer.alloc(0);
  let length = 0;
  for await (const chunk of source) {
    allowance.takeBytes(chunk.length);
    length += chunk.length;
    await handle.appendFile(chunk);
    const all = Buffer.concat([held, chunk]);
    const cut = Math.max(0, all.length - TRAILER_BYTES);
    hash.update(all.subarray(0, cut));
    held = all.subarray(cut);
  }
  if (length < HEADER_BYTES + TRAILER_BYTES || !hash.digest().equals(held)) throw new CodedError('protocol_violation', 'the pack of the Git server is damaged');
  return length;
}

/** With `info` both come back, which the types do not say. */
function inflateWithInfo(input: InputType, options: ZlibOptions): { readonly buffer: Buffer; readonly engine: Inflate } {
  return inflateSync(input, { ...options, info: true }) as unknown as { readonly buffer: Buffer; readonly engine: Inflate };
}

function broken(cause?: unknown): CodedError {
  return new CodedError('protocol_violation', 'the pack of the Git server is damaged', {}, { cause });
}
