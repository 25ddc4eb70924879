/** Many sharers or one owner at a time, first come first served. */
export class SharedLock {
  private lastExclusive: Promise<unknown> = Promise.resolve();
  private shared: Promise<unknown>[] = [];

  share<T>(action: () => Promise<T>): Promise<T> {
    const result = this.lastExclusive.then(action);
    this.shared.push(result.catch(() => undefined));
    return result;
  }

  own<T>(action: () => Promise<T>): Promise<T> {
    const before = [this.lastExclusive, ...this.shared];
    this.shared = [];
    const result = Promise.all(before).then(action);
    this.lastExclusive = result.catch(() => undefined);
    return result;
  }
}
