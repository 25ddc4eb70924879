import { CodedError } from '#kernel';
import { BLOCK_BYTES } from './blocks.js';
import { type Fault } from './fault.js';

/** Pulls bytes from chunks of any size. Holds one chunk; copies only what crosses a border between chunks. */
export class ByteSource {
  readonly #chunks: AsyncIterator<Uint8Array>;
  #chunk: Buffer = Buffer.alloc(0);
  #pulling = false;
  #ended = false;
  /** Bytes taken so far. */
  offset = 0;

  constructor(
    source: AsyncIterable<Uint8Array>,
    private readonly fault: Fault,
  ) {
    this.#chunks = source[Symbol.asyncIterator]();
  }

  /** As `exactly`, of what is at hand; undefined when more has to come first. */
  atHand(length: number): Buffer | undefined {
    return this.#chunk.length >= length ? this.#take(length) : undefined;
  }

  /** The next block; undefined when the source ends before its first byte. */
  async block(): Promise<Buffer | undefined> {
    if (this.#chunk.length >= BLOCK_BYTES) return this.#take(BLOCK_BYTES);
    return (await this.#pull()) ? this.exactly(BLOCK_BYTES) : undefined;
  }

  /** For lengths that a limit has bounded. */
  async exactly(length: number): Promise<Buffer> {
    if (this.#chunk.length >= length) return this.#take(length);
    const whole = Buffer.allocUnsafe(length);
    for (let at = 0; at < length; ) {
      const part = await this.some(length - at);
      part.copy(whole, at);
      at += part.length;
    }
    return whole;
  }

  /** At least one byte and at most `length`, which is not 0. */
  async some(length: number): Promise<Buffer> {
    if (this.#chunk.length === 0 && !(await this.#pull())) throw this.fault('the archive is cut short');
    return this.#take(Math.min(length, this.#chunk.length));
  }

  async skip(length: number): Promise<void> {
    for (let left = length; left > 0; ) left -= (await this.some(left)).length;
  }

  /** The source may end before. */
  async skipUpTo(length: number): Promise<void> {
    for (let left = length; left > 0 && (this.#chunk.length > 0 || (await this.#pull())); ) left -= this.#take(Math.min(left, this.#chunk.length)).length;
  }

  /** Reads on to the source's end. */
  async drain(): Promise<void> {
    do this.#take(this.#chunk.length);
    while (await this.#pull());
  }

  async close(): Promise<void> {
    if (this.#ended) return;
    this.#ended = true;
    await this.#chunks.return?.();
  }

  #take(length: number): Buffer {
    const taken = this.#chunk.subarray(0, length);
    this.#chunk = this.#chunk.subarray(length);
    this.offset += length;
    return taken;
  }

  /** Whether there is a byte to take. */
  async #pull(): Promise<boolean> {
    if (this.#pulling) throw new CodedError('failed_precondition', 'an archive is read by one reader at a time');
    this.#pulling = true;
    try {
      while (this.#chunk.length === 0) {
        if (this.#ended) return false;
        const next = await this.#chunks.next();
        if (next.done === true) this.#ended = true;
        else this.#chunk = Buffer.from(next.value.buffer, next.value.byteOffset, next.value.byteLength);
      }
      return true;
    } catch (error) {
      this.#ended = true;
      throw error;
    } finally {
      this.#pulling = false;
    }
  }
}
