const STAGE_BYTES = 65_536;
/** Copying less than this is cheaper than one more step of everything downstream. */
const COPY_BELOW = 16_384;

/** Gathers small pieces into chunks; lets large ones pass as they are, in order. Each chunk given out is the receiver's. */
export class StagingBuffer {
  #stage = Buffer.allocUnsafeSlow(STAGE_BYTES);
  #used = 0;

  /** The chunks that are due once `bytes` have come. */
  *add(bytes: Uint8Array): Generator<Buffer, void, void> {
    if (this.#used + bytes.length > STAGE_BYTES || bytes.length >= COPY_BELOW) yield* this.flush();
    if (bytes.length >= COPY_BELOW) {
      yield Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
      return;
    }
    this.#stage.set(bytes, this.#used);
    this.#used += bytes.length;
  }

  *flush(): Generator<Buffer, void, void> {
    if (this.#used === 0) return;
    const full = this.#stage.subarray(0, this.#used);
    this.#stage = Buffer.allocUnsafeSlow(STAGE_BYTES);
    this.#used = 0;
    yield full;
  }
}
