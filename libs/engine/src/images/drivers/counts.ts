/** How often each key is counted on. */
export class Counts {
  private readonly counts = new Map<string, number>();

  add(keys: Iterable<string>): void {
    for (const key of keys) this.counts.set(key, this.of(key) + 1);
  }

  drop(keys: Iterable<string>): void {
    for (const key of keys) {
      const left = this.of(key) - 1;
      if (left > 0) this.counts.set(key, left);
      else this.counts.delete(key);
    }
  }

  of(key: string): number {
    return this.counts.get(key) ?? 0;
  }

  has(key: string): boolean {
    return this.counts.has(key);
  }
}
