/**
 * What is idle keeps little; what pours gets room for several frames at once, so that few buffers are made and few frames lie across two. Not for more: all of it
 * stays as long as one of them is held.
 */
const LEAST_BYTES = 16 * 1024;
const MOST_BYTES = 256 * 1024;
/** Offered to one read at least. */
const LEAST_READ_BYTES = 4096;

/**
 * Memory for a socket to read into (`onread`). One read's bytes lie behind the other's, so a frame that comes in pieces lies in one piece nearly always. Memory
 * is never used twice: what was handed on may be kept.
 */
export class ReadSlabs {
  /** Gets the bytes of each read. An agent says nothing before it is greeted. */
  deliver: (bytes: Buffer) => void = () => undefined;
  readonly onread = {
    buffer: (): Uint8Array => this.room(),
    callback: (length: number): boolean => {
      this.deliver(this.took(length));
      return true;
    },
  };
  private slab = Buffer.alloc(0);
  private used = 0;
  private nextBytes = LEAST_BYTES;

  /** Where the next read is to put its bytes. */
  room(): Uint8Array {
    if (this.slab.length - this.used < LEAST_READ_BYTES) {
      this.slab = Buffer.allocUnsafeSlow(this.nextBytes);
      this.used = 0;
    }
    return this.slab.subarray(this.used);
  }

  /** The bytes of the read that has ended. */
  took(length: number): Buffer {
    const bytes = this.slab.subarray(this.used, this.used + length);
    this.used += length;
    if (this.used === this.slab.length) this.nextBytes = Math.min(MOST_BYTES, this.nextBytes * 4);
    else if (length < LEAST_READ_BYTES) this.nextBytes = LEAST_BYTES;
    return bytes;
  }
}
