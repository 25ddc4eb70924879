import type { RestartPolicy } from '../containers.js';

const FIRST_MS = 100;
const MOST_MS = 60_000;
/** Who ran that long begins anew. */
const STEADY_MS = 10_000;

export interface ContainerEnd {
  readonly policy: RestartPolicy | undefined;
  readonly exitCode: number;
  readonly ranMs: number;
  /** Restarts so far. */
  readonly restarts: number;
  /** Somebody wanted it to end. */
  readonly byHand: boolean;
}

/** Whether and when a container that has ended starts again, by Docker's rules: after 100 ms, twice as long each time, at most a minute. */
export class RestartBackOff {
  private waitMs = 0;

  /** Milliseconds until its next start; undefined: it stays down. */
  next({ policy, exitCode, ranMs, restarts, byHand }: ContainerEnd): number | undefined {
    if (policy === undefined || byHand || !wantsRestart(policy, exitCode, restarts)) return undefined;
    this.waitMs = this.waitMs === 0 || ranMs >= STEADY_MS ? FIRST_MS : Math.min(this.waitMs * 2, MOST_MS);
    return this.waitMs;
  }

  reset(): void {
    this.waitMs = 0;
  }
}

/** Of one that is down when the worker comes back, and has run before: `always` means it, even after a stop. */
export function startsWithWorker({ policy, exitCode, restarts, byHand }: Omit<ContainerEnd, 'ranMs'>): boolean {
  if (policy === undefined) return false;
  return policy.kind === 'always' || (!byHand && wantsRestart(policy, exitCode, restarts));
}

function wantsRestart({ kind, maxRetries }: RestartPolicy, exitCode: number, restarts: number): boolean {
  switch (kind) {
    case 'no':
      return false;
    case 'always':
    case 'unless-stopped':
      return true;
    case 'on-failure':
      return exitCode !== 0 && (maxRetries === 0 || restarts < maxRetries);
  }
}
