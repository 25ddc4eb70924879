import { digestHex, type Clock, type Digest } from '#kernel';
import type { TransferProgress } from '../registry-client.js';

/** At most ten a second and layer: people read them. */
const INTERVAL_MS = 100;

export function shortId(digest: Digest): string {
  return digestHex(digest).slice(0, 12);
}

/** Docker's progress lines. */
export class ProgressLines {
  private readonly shownAt = new Map<string, number>();

  constructor(
    private readonly emit: (progress: TransferProgress) => void,
    private readonly clock: Clock,
  ) {}

  say(status: string, id?: string): void {
    this.emit({ ...(id === undefined ? {} : { id }), status });
  }

  /** Of bytes that pass: what comes too soon after the last is not shown. */
  bytes(status: string, id: string, current: number, total: number): void {
    const now = this.clock.monotonicMs();
    const last = this.shownAt.get(id);
    if (last !== undefined && now - last < INTERVAL_MS) return;
    this.shownAt.set(id, now);
    this.emit({ id, status, current, total });
  }
}
