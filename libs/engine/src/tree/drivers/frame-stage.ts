const STAGE_BYTES = 131_072;
/** Copying less than this is cheaper than a write of its own. */
const COPY_BELOW = 32_768;

/** Gathers frames, so that thousands of small files are few writes. */
export class FrameStage {
  #stage = Buffer.allocUnsafeSlow(STAGE_BYTES);
  #used = 0;

  constructor(private readonly write: (bytes: Uint8Array) => Promise<void>) {}

  async add(bytes: Uint8Array): Promise<void> {
    if (this.#used + bytes.length > STAGE_BYTES || bytes.length >= COPY_BELOW) await this.flush();
    if (bytes.length >= COPY_BELOW) return this.write(bytes);
    this.#stage.set(bytes, this.#used);
    this.#used += bytes.length;
  }

  /** What was written belongs to the stream until it has gone, so the next stage is a new one. */
  async flush(): Promise<void> {
    if (this.#used === 0) return;
    const full = this.#stage.subarray(0, this.#used);
    this.#stage = Buffer.allocUnsafeSlow(STAGE_BYTES);
    this.#used = 0;
    await this.write(full);
  }
}
