/** One action at a time for each key, first come first served. */
export class KeyedTurns {
  private readonly last = new Map<string, Promise<unknown>>();

  async take<T>(key: string, action: () => Promise<T>): Promise<T> {
    const before = this.last.get(key) ?? Promise.resolve();
    const result = before.then(action);
    const end = result.catch(() => undefined);
    this.last.set(key, end);
    try {
      return await result;
    } finally {
      if (this.last.get(key) === end) this.last.delete(key);
    }
  }
}
