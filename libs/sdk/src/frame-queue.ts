const FULL = 1024;

/** Hands what arrives by events to one reader, and asks the source to hold still while the reader is behind. */
export class FrameQueue<T> implements AsyncIterable<T> {
  #items: T[] = [];
  #over = false;
  #failure: { reason: unknown } | undefined;
  #full = false;
  #wake: (() => void) | undefined;

  constructor(private readonly pressure: { onFull(): void; onDrained(): void }) {}

  push(item: T): void {
    if (this.#over) return;
    this.#items.push(item);
    if (!this.#full && this.#items.length >= FULL) {
      this.#full = true;
      this.pressure.onFull();
    }
    this.#wake?.();
  }

  /** What has arrived is still read. Only the first of `end` and `fail` counts. */
  end(): void {
    this.#over = true;
    this.#wake?.();
  }

  fail(reason: unknown): void {
    if (!this.#over) this.#failure = { reason };
    this.end();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<T> {
    for (;;) {
      const batch = this.#items;
      this.#items = [];
      yield* batch;
      if (this.#full && this.#items.length === 0) {
        this.#full = false;
        this.pressure.onDrained();
      }
      if (this.#items.length > 0) continue;
      if (this.#failure !== undefined) throw this.#failure.reason;
      if (this.#over) return;
      await new Promise<void>((resolve) => (this.#wake = resolve));
      this.#wake = undefined;
    }
  }
}
