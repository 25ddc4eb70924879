/** Items between a writer who waits while the reader is behind, and one reader. */
export class PacedQueue<T> implements AsyncIterable<T> {
  private items: T[] = [];
  private ended = false;
  private readonly waiting: (() => void)[] = [];
  private wake: (() => void) | undefined;

  constructor(private readonly room: number) {}

  /** Resolves when there is room for more, or nobody reads any more. */
  async push(item: T): Promise<void> {
    if (this.ended) return;
    this.items.push(item);
    this.wake?.();
    if (this.items.length < this.room) return;
    await new Promise<void>((resolve) => this.waiting.push(resolve));
  }

  /** What was pushed is still read. */
  end(): void {
    this.ended = true;
    this.wake?.();
    this.release();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<T, void, undefined> {
    try {
      for (;;) {
        const taken = this.items;
        this.items = [];
        this.release();
        yield* taken;
        if (taken.length > 0 || this.items.length > 0) continue;
        if (this.ended) return;
        await new Promise<void>((resolve) => (this.wake = resolve));
      }
    } finally {
      this.end();
    }
  }

  private release(): void {
    for (const resolve of this.waiting.splice(0)) resolve();
  }
}
