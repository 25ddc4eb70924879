import type { Digest } from '#kernel';
import type { Pin } from '../content.js';

/**
 * Who still counts on which digest. A deletion asks and begins without a pause between the two, and a pin counts at once and then waits
 * for the deletions that had begun: so either the pin comes first and the blob stays, or the holder finds it gone before it looks.
 */
export class BlobPins {
  private readonly counts = new Map<Digest, number>();
  private readonly deletions = new Map<Digest, Promise<void>>();

  /** `onFree` hears of digests whose last pin has gone. */
  constructor(private readonly onFree: (digest: Digest) => void = () => undefined) {}

  isPinned(digest: Digest): boolean {
    return this.counts.has(digest);
  }

  async pin(digests: Iterable<Digest>): Promise<Pin> {
    const held = new Set<Digest>();
    let released = false;
    const add = async (more: Iterable<Digest>): Promise<void> => {
      const fresh = [...new Set(more)].filter((digest) => !held.has(digest));
      if (released) return;
      for (const digest of fresh) {
        held.add(digest);
        this.counts.set(digest, (this.counts.get(digest) ?? 0) + 1);
      }
      await Promise.allSettled(fresh.flatMap((digest) => this.deletions.get(digest) ?? []));
    };
    const release = (): void => {
      if (released) return;
      released = true;
      for (const digest of held) this.drop(digest);
    };
    await add(digests);
    return { add, release };
  }

  /** Runs `remove` unless the digest is pinned or `isNeeded`; says whether it ran. Removals of one digest follow one another. */
  async removeUnlessHeld(digest: Digest, remove: () => Promise<void>, isNeeded: (digest: Digest) => boolean = () => false): Promise<boolean> {
    for (let before = this.deletions.get(digest); before; before = this.deletions.get(digest)) await before.catch(() => undefined);
    if (this.counts.has(digest) || isNeeded(digest)) return false;
    const removal = remove();
    this.deletions.set(digest, removal);
    try {
      await removal;
      return true;
    } finally {
      this.deletions.delete(digest);
    }
  }

  private drop(digest: Digest): void {
    const left = (this.counts.get(digest) ?? 0) - 1;
    if (left > 0) {
      this.counts.set(digest, left);
      return;
    }
    this.counts.delete(digest);
    this.onFree(digest);
  }
}
