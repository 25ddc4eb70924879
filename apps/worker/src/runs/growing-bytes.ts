const FIRST_BYTES = 1024;

/**
 * Bytes that arrive in pieces, kept in one buffer. A list of the pieces would keep whatever each was cut from: a program that writes single
 * bytes would make the worker hold a hundred times what its output limit says.
 */
export class GrowingBytes {
  private buffer: Buffer = Buffer.alloc(0);
  private length = 0;

  append(data: Uint8Array): void {
    const needed = this.length + data.length;
    if (needed > this.buffer.length) {
      const grown = Buffer.allocUnsafeSlow(Math.max(FIRST_BYTES, needed, 2 * this.buffer.length));
      this.buffer.copy(grown, 0, 0, this.length);
      this.buffer = grown;
    }
    this.buffer.set(data, this.length);
    this.length = needed;
  }

  /** Shares memory with what is appended later: to be used up at once. */
  bytes(): Buffer {
    return this.buffer.subarray(0, this.length);
  }
}
