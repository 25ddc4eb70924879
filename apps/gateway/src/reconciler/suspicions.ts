import type { RunId } from '#kernel';

export type Suspicion = 'node_gone' | 'unknown_to_node';

/**
 * How long a suspicion must stand without a break. A heartbeat is forgotten 6 s after the last; a worker that is started again beats
 * within 8 s more. A heartbeat is up to 2 s old: two rounds of 2 s see at least one that was made after the first look. A log that has ended
 * means that the result is on its way through the events stream.
 */
const STANDS_MS: Readonly<Record<Suspicion, number>> = { node_gone: 8_000, unknown_to_node: 4_000 };
const STANDS_ENDED_MS = 30_000;

/** What the reconciler holds against runs, from round to round. */
export class Suspicions {
  private entries = new Map<RunId, { readonly reason: Suspicion; readonly since: number }>();
  private seen = new Set<RunId>();

  /** True when the suspicion has stood long enough to act on. */
  note(runId: RunId, reason: Suspicion, now: number, logEnded: boolean): boolean {
    this.seen.add(runId);
    const known = this.entries.get(runId);
    const since = known?.reason === reason ? known.since : now;
    this.entries.set(runId, { reason, since });
    return now - since >= (logEnded ? STANDS_ENDED_MS : STANDS_MS[reason]);
  }

  /** Ends a round: what was not noted in it is forgotten. */
  endRound(): void {
    this.entries = new Map([...this.entries].filter(([runId]) => this.seen.has(runId)));
    this.seen = new Set();
  }

  clear(): void {
    this.entries.clear();
    this.seen.clear();
  }
}
