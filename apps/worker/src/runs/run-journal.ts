import type { Clock, Logger, RunId } from '#kernel';
import type { Milestone } from './run-services.js';

/** One line per run when it is over: how long each part of it took, milliseconds. */
export class RunJournal {
  private readonly runs = new Map<RunId, { last: number; phases: Partial<Record<Milestone, number>> }>();

  constructor(
    private readonly clock: Clock,
    private readonly logger: Logger,
  ) {}

  reached(runId: RunId, milestone: Milestone): void {
    const now = this.clock.monotonicMs();
    const run = this.runs.get(runId) ?? { last: now, phases: {} };
    run.phases[milestone] = Math.round((now - run.last) * 100) / 100;
    run.last = now;
    this.runs.set(runId, run);
    if (milestone !== 'destroyed') return;
    this.runs.delete(runId);
    this.logger.info({ runId, phasesMs: run.phases }, 'run is over');
  }
}
