/**
 * Gathers pieces into large writes: one of two buffers is filled while the other is written, so that its owner and its writer work at the
 * same time, and the memory is these two buffers whatever the length of the stream.
 */
export class DoubleBuffer {
  #filling: Buffer;
  #spare: Buffer | undefined;
  #used = 0;
  #writing: Promise<void> = Promise.resolve();

  /** `write` resolves when it needs the bytes no longer; its rejection is thrown by what is called next here. */
  constructor(
    private readonly bytes: number,
    private readonly write: (bytes: Buffer) => Promise<void>,
  ) {
    this.#filling = Buffer.allocUnsafeSlow(bytes);
  }

  /** Takes a piece for which there is room; false: it takes none of it. */
  put(piece: Uint8Array): boolean {
    if (piece.length > this.bytes - this.#used) return false;
    this.#filling.set(piece, this.#used);
    this.#used += piece.length;
    return true;
  }

  async add(piece: Uint8Array): Promise<void> {
    for (let at = 0; at < piece.length; ) {
      if (this.#used === this.bytes) await this.flush();
      const part = piece.subarray(at, at + this.bytes - this.#used);
      this.#filling.set(part, this.#used);
      this.#used += part.length;
      at += part.length;
    }
  }

  /** Sends what there is on its way, in order. */
  async flush(): Promise<void> {
    if (this.#used === 0) return;
    await this.#writing;
    const full = this.#filling;
    this.#filling = this.#spare ?? Buffer.allocUnsafeSlow(this.bytes);
    this.#spare = full;
    this.#writing = this.write(full.subarray(0, this.#used));
    // Whoever calls next is told.
    this.#writing.catch(() => undefined);
    this.#used = 0;
  }

  /** Resolves when all is written. */
  async finish(): Promise<void> {
    await this.flush();
    await this.#writing;
  }
}
