import type { ContainerRecord } from './container-record.js';
import { RestartBackOff, startsWithWorker } from './restart-back-off.js';

/** Who wanted a container to end, and what its policy makes of it. */
export class ContainerSupervision {
  /** The last who wanted something of it wanted it to stop. In the record with its next change. */
  byHand: boolean;
  /** Ends now come from us: no policy answers them. */
  closing = false;
  /** What ends now is started again by who stopped it. */
  restarting = false;
  private readonly backOff = new RestartBackOff();
  private timer: NodeJS.Timeout | undefined;

  constructor({ stoppedByHand }: ContainerRecord) {
    this.byHand = stoppedByHand ?? false;
  }

  /** Somebody starts it: all is forgotten. */
  begin(): void {
    this.byHand = false;
    this.backOff.reset();
  }

  /** Milliseconds until it starts again; undefined: it stays down. */
  afterEnd({ request, restartCount = 0 }: ContainerRecord, { exitCode, ranMs }: { readonly exitCode: number; readonly ranMs: number }): number | undefined {
    const byHand = this.byHand || this.closing || this.restarting;
    return this.backOff.next({ policy: request.restart, exitCode, ranMs, restarts: restartCount, byHand });
  }

  /** When a worker comes back and finds it down. */
  isDue({ status, starts, request, exitCode, restartCount = 0 }: ContainerRecord): boolean {
    if (status === 'restarting') return true;
    return status === 'exited' && starts > 0 && startsWithWorker({ policy: request.restart, exitCode, restarts: restartCount, byHand: this.byHand });
  }

  schedule(ms: number, work: () => void): void {
    this.cancel();
    this.timer = setTimeout(work, ms);
  }

  cancel(): void {
    clearTimeout(this.timer);
  }
}
