/** A stream that gives something back, once, when it ends, fails or is left: also when nobody has ever read from it, which a generator would not notice. */
export class ClosingStream<T> implements AsyncIterableIterator<T> {
  private closing: Promise<void> | undefined;

  constructor(
    private readonly source: AsyncIterator<T, unknown>,
    private readonly close: () => Promise<void>,
  ) {}

  async next(): Promise<IteratorResult<T, undefined>> {
    if (this.closing !== undefined) return this.ended();
    try {
      const step = await this.source.next();
      if (step.done !== true) return { done: false, value: step.value };
    } catch (error) {
      await this.closed();
      throw error;
    }
    return this.ended();
  }

  async return(): Promise<IteratorResult<T, undefined>> {
    if (this.closing === undefined) await this.source.return?.();
    return this.ended();
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  private async ended(): Promise<{ done: true; value: undefined }> {
    await this.closed();
    return { done: true, value: undefined };
  }

  private closed(): Promise<void> {
    this.closing ??= this.close();
    return this.closing;
  }
}
