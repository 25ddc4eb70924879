import type { FinalRunState } from '#contracts';
import type { ProcessExit } from '#engine';

/** What was seen of a step when it was over. */
export interface StepFacts {
  readonly cancelled: boolean;
  readonly shutDown: boolean;
  readonly outputExceeded: boolean;
  /** The kernel killed a process of the sandbox for its memory limit during the step. */
  readonly oomKilled: boolean;
  /** Wall clock or CPU time. */
  readonly timedOut: boolean;
  /** Undefined when the agent never reported one. */
  readonly exit: Pick<ProcessExit, 'exitCode' | 'signal'> | undefined;
}

/**
 * More than one thing may be true at once (a memory hog that also ran out of time). The order decides: what somebody asked for
 * comes first, then the limit whose breach explains the others. A program that handles the kill of its child and exits 0 has still
 * exceeded its memory; one that ends by itself just after its CPU time was used up has still timed out.
 */
export function stepVerdict(facts: StepFacts): FinalRunState {
  if (facts.cancelled) return 'cancelled';
  if (facts.shutDown) return 'lost';
  if (facts.outputExceeded) return 'output_exceeded';
  if (facts.oomKilled) return 'memory_exceeded';
  if (facts.timedOut) return 'timed_out';
  if (facts.exit === undefined) return 'internal_error';
  return facts.exit.exitCode === 0 ? 'succeeded' : 'failed';
}
