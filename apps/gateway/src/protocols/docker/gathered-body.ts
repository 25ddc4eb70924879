import { Readable } from 'node:stream';
import { CodedError } from '#kernel';

/** What a socket gives at once. */
const STAGE_BYTES = 65_536;
/** How long a piece waits to be filled: a person's input is not held up, and a fast sender fills many in that time. */
const GATHER_MS = 1;
/** Copying less than this is cheaper than one more step of everything downstream. */
const COPY_BELOW = 16_384;

/**
 * The body of a request as it comes, small chunks gathered to larger pieces: Docker's client sends a context in three chunks a file. Ended with
 * `deadline_exceeded` when nothing comes for `stallMs` although it was asked for. To leave it early leaves the request alone: destroyed, it would take the connection
 * and the answer with it.
 */
export class GatheredBody extends Readable {
  #stage: Buffer | undefined;
  #used = 0;
  #begun = false;
  #waiting = false;
  #timer: NodeJS.Timeout | undefined;
  #flushing: NodeJS.Timeout | undefined;

  constructor(
    private readonly source: Readable,
    private readonly stallMs: number,
  ) {
    super({ highWaterMark: STAGE_BYTES });
  }

  override _read(): void {
    this.#waiting = true;
    if (this.#timer === undefined) this.#timer = setTimeout(this.#late, this.stallMs);
    else this.#timer.refresh();
    if (this.#begun) this.source.resume();
    else this.#begin();
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    clearTimeout(this.#timer);
    clearTimeout(this.#flushing);
    this.source.off('data', this.#take).off('end', this.#end).off('close', this.#closed).pause();
    done(error);
  }

  #begin(): void {
    this.#begun = true;
    const { source } = this;
    if (source.destroyed) this.#closed();
    else source.on('error', this.#fail).on('close', this.#closed).on('end', this.#end).on('data', this.#take);
  }

  readonly #take = (chunk: Buffer): void => {
    if (chunk.length >= COPY_BELOW) {
      this.#send();
      this.#give(chunk);
      return;
    }
    for (let at = 0; at < chunk.length; ) {
      this.#stage ??= Buffer.allocUnsafeSlow(STAGE_BYTES);
      const taken = chunk.copy(this.#stage, this.#used, at);
      at += taken;
      this.#used += taken;
      if (this.#used === STAGE_BYTES) this.#send();
    }
    if (this.#used > 0) this.#flushing ??= setTimeout(this.#flush, GATHER_MS);
  };

  readonly #flush = (): void => {
    this.#flushing = undefined;
    this.#send();
  };

  #send(): void {
    const stage = this.#stage;
    const used = this.#used;
    if (stage === undefined) return;
    this.#stage = undefined;
    this.#used = 0;
    this.#give(stage.subarray(0, used));
  }

  #give(bytes: Buffer): void {
    this.#waiting = false;
    if (!this.push(bytes)) this.source.pause();
  }

  readonly #end = (): void => {
    clearTimeout(this.#timer);
    clearTimeout(this.#flushing);
    this.#send();
    this.push(null);
  };

  readonly #late = (): void => {
    if (this.#waiting) this.source.destroy(new CodedError('deadline_exceeded', 'the body stopped coming'));
  };

  readonly #fail = (error: Error): void => {
    this.destroy(error);
  };

  readonly #closed = (): void => {
    if (!this.source.readableEnded) this.destroy(new CodedError('cancelled', 'the sender of the body went away'));
  };
}
