import type { Clock, Logger, TenantId } from '#kernel';

/** Rows that are not final, and the jobs behind them. */
export interface ReconciledJobs<R> {
  unfinished(): Promise<R[]>;
  /** Whether its job waits or is worked on. */
  has(row: R): Promise<boolean>;
  cancel(row: R): Promise<void>;
  /** Its job is gone for good, whatever became of it. */
  settle(row: R): Promise<void>;
}

/** A job may be gone because its end is on its way here: it is believed lost when it has been gone for so long. */
const GONE_MS = 5_000;

/** Closes the difference between rows and the nodes' queues. Level-triggered: it remembers only since when a job is gone. */
export class GoneJobs<R extends { readonly id: string; readonly tenantId: TenantId; readonly cancelRequestedAt: Date | null }> {
  private readonly goneSince = new Map<string, number>();

  constructor(
    private readonly jobs: ReconciledJobs<R>,
    private readonly clock: Clock,
    private readonly logger: Logger,
  ) {}

  async round(): Promise<void> {
    const unfinished = await this.jobs.unfinished();
    const ids = new Set(unfinished.map(({ id }) => id));
    for (const id of this.goneSince.keys()) if (!ids.has(id)) this.goneSince.delete(id);
    for (const row of unfinished) {
      try {
        await this.treat(row);
      } catch (error) {
        this.logger.warn({ err: error, id: row.id, tenantId: row.tenantId }, 'could not treat what is not over');
      }
    }
  }

  private async treat(row: R): Promise<void> {
    if (await this.jobs.has(row)) {
      this.goneSince.delete(row.id);
      if (row.cancelRequestedAt !== null) await this.jobs.cancel(row);
      return;
    }
    const now = this.clock.now();
    const since = this.goneSince.get(row.id) ?? now;
    this.goneSince.set(row.id, since);
    if (now - since < GONE_MS) return;
    this.goneSince.delete(row.id);
    await this.jobs.settle(row);
  }
}
