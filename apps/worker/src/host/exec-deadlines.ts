import type { ContainerProcesses } from '#engine';
import { asError, type Logger, type TenantId } from '#kernel';

const MAX_TIMER_MS = 2 ** 31 - 1;

/** Kills execs that run longer than was asked for. */
export class ExecDeadlines {
  private readonly timers = new Map<string, NodeJS.Timeout>();

  constructor(
    private readonly processes: Pick<ContainerProcesses, 'signalExec' | 'waitExec'>,
    private readonly logger: Logger,
  ) {}

  /** From now on. Idempotent. */
  set(tenantId: TenantId, execId: string, timeoutMs: number): void {
    if (this.timers.has(execId)) return;
    const over = new AbortController();
    const timer = setTimeout(() => {
      over.abort();
      this.processes.signalExec(tenantId, execId, 'KILL').catch((error: unknown) => {
        this.logger.warn({ err: asError(error), execId }, 'an exec that is over its time could not be killed');
      });
    }, Math.min(timeoutMs, MAX_TIMER_MS));
    timer.unref();
    this.timers.set(execId, timer);
    const forget = (): void => {
      clearTimeout(timer);
      this.timers.delete(execId);
    };
    this.processes.waitExec(tenantId, execId, over.signal).then(forget, forget);
  }
}
