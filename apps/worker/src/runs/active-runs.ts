import type { RunId, TenantId } from '#kernel';
import type { RunExecution } from './run-execution.js';
import type { Interruption } from './step-run.js';
import { RunStdin } from './run-stdin.js';

/** A run that this node holds, from claim to reported end. */
export class ActiveRun {
  private execution: RunExecution | undefined;
  private why: Interruption | undefined;
  readonly over = Promise.withResolvers<undefined>();
  private stdinOfRun: RunStdin | undefined;

  constructor(
    readonly runId: RunId,
    readonly tenantId: TenantId,
    readonly requestId: string,
    readonly epoch: number,
  ) {}

  get interruption(): Interruption | undefined {
    return this.why;
  }

  get stdin(): RunStdin | undefined {
    return this.stdinOfRun;
  }

  openStdin(open: boolean, initial: Buffer): RunStdin {
    this.stdinOfRun = new RunStdin(open, initial);
    return this.stdinOfRun;
  }

  attach(execution: RunExecution): void {
    this.execution = execution;
    if (this.why !== undefined) execution.interrupt(this.why);
  }

  /** Ends it as soon as possible. Idempotent; a request to cancel outweighs a shutdown. */
  interrupt(why: Interruption): void {
    if (this.why !== 'cancelled') this.why = why;
    this.execution?.interrupt(why);
  }
}

export class ActiveRuns {
  private readonly runs = new Map<RunId, ActiveRun>();

  get(runId: RunId): ActiveRun | undefined {
    return this.runs.get(runId);
  }

  ids(): RunId[] {
    return [...this.runs.keys()];
  }

  all(): ActiveRun[] {
    return [...this.runs.values()];
  }

  /** False when that run is here already. */
  add(run: ActiveRun): boolean {
    if (this.runs.has(run.runId)) return false;
    this.runs.set(run.runId, run);
    return true;
  }

  /** Its end is reported, or it was given up before it started. */
  remove(run: ActiveRun): void {
    if (this.runs.get(run.runId) === run) this.runs.delete(run.runId);
    run.over.resolve(undefined);
  }

  /** Resolves when none is left. */
  async idle(): Promise<void> {
    while (this.runs.size > 0) await Promise.all(this.all().map((run) => run.over.promise));
  }
}
