import { setTimeout as sleep } from 'node:timers/promises';
import { asError, type Clock, type Logger } from '#kernel';
import type { HealthState } from '../containers.js';
import type { ContainerExecution } from './container-execution.js';
import type { ContainerRecord } from './container-record.js';
import { HealthTracker, healthProbeOf } from './health-check.js';
import { runProbe } from './health-probe.js';

export interface HealthParts {
  readonly record: () => ContainerRecord;
  /** Its status is another one now. */
  readonly changed: (status: HealthState['status']) => void;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** Looks after one container's health, when it has a check, while it runs. */
export class ContainerHealth {
  private tracker: HealthTracker | undefined;
  private watching: AbortController | undefined;

  constructor(private readonly parts: HealthParts) {
    const { healthStatus } = parts.record();
    if (healthStatus !== undefined) this.tracker = this.newTracker(healthStatus);
  }

  /** Undefined: it has no check, or has never run. */
  get state(): HealthState | undefined {
    return this.tracker?.state;
  }

  /** A run begins. */
  begin(execution: ContainerExecution): void {
    this.tracker = this.newTracker('starting');
    this.watch(execution);
  }

  /** The run goes on: after a pause, or under a new worker. */
  watch(execution: ContainerExecution): void {
    this.rest();
    const argv = healthProbeOf(this.parts.record());
    if (argv === undefined || this.tracker === undefined) return;
    this.watching = new AbortController();
    void this.checkOn(execution, this.tracker, argv, this.watching.signal);
  }

  /** Nobody looks: a paused container can do nothing, and says nothing of its health by that. */
  rest(): void {
    this.watching?.abort();
    this.watching = undefined;
  }

  end(): void {
    this.rest();
    this.tracker?.end();
  }

  private newTracker(status: HealthState['status']): HealthTracker | undefined {
    const record = this.parts.record();
    const { health } = record.effective;
    return health === undefined || healthProbeOf(record) === undefined ? undefined : new HealthTracker(health, record.startedAt ?? 0, status);
  }

  private async checkOn(execution: ContainerExecution, tracker: HealthTracker, argv: readonly string[], signal: AbortSignal): Promise<void> {
    const { clock, logger } = this.parts;
    try {
      for (;;) {
        await sleep(tracker.waitMs(clock.now()), undefined, { signal });
        const startedAt = clock.now();
        const { exitCode, output } = await runProbe(execution, this.parts.record(), { argv, timeoutMs: tracker.timeoutMs, signal });
        if (signal.aborted) return;
        if (tracker.take({ startedAt, finishedAt: clock.now(), exitCode, output })) this.parts.changed(tracker.state.status);
      }
    } catch (error) {
      // The container has ended, or is at rest.
      if (!signal.aborted) logger.debug({ err: asError(error), container: this.parts.record().id }, 'containers: a health check was given up');
    }
  }
}
