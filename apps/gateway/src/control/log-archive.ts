import { isCodedError, type Logger, type TenantId } from '#kernel';
import type { LogStream } from '#queue';

/** Whose log it is: a final row. */
export interface LogOwner<I> {
  readonly id: I;
  readonly tenantId: TenantId;
}

export interface LogArchiveOptions<R, I, F> {
  readonly logs: LogStream<I, F>;
  readonly saved: { load(tenantId: TenantId, id: I): Promise<F[] | undefined>; save(tenantId: TenantId, id: I, frames: readonly F[]): Promise<void> };
  /** What the row itself holds of a log that Redis has lost. */
  readonly framesOf: (row: R) => F[];
  readonly endOf: (row: R, seq: number) => F;
  readonly graceSeconds: number;
  readonly logger: Logger;
}

/** Moves the logs of what is final from Redis to PostgreSQL. */
export class LogArchive<R extends LogOwner<I>, I extends string, F> {
  constructor(private readonly options: LogArchiveOptions<R, I, F>) {}

  /** Idempotent. The log gets its end frame here when no node wrote one. */
  async archive(row: R): Promise<void> {
    const { saved, logs, graceSeconds } = this.options;
    if ((await saved.load(row.tenantId, row.id)) === undefined) {
      const frames = await this.completed(row);
      try {
        await saved.save(row.tenantId, row.id, frames);
      } catch (error) {
        // Deleted in between (retention, its tenant): its log goes with it.
        if (!isCodedError(error, 'not_found')) throw error;
        await logs.delete(row.id);
        return;
      }
    }
    await logs.expire(row.id, graceSeconds);
  }

  private async completed(row: R): Promise<F[]> {
    const { logs, framesOf, endOf } = this.options;
    try {
      const last = await logs.last(row.id);
      if (last?.ended !== true) {
        const missing = last === undefined ? framesOf(row) : [];
        await logs.append(row.id, [...missing, endOf(row, (last?.seq ?? missing.length) + 1)]);
      }
      return await logs.readAll(row.id);
    } catch (error) {
      if (!isCodedError(error, 'protocol_violation')) throw error;
      return this.fromRow(row, error);
    }
  }

  /** Its node wrote entries that are no frames. They would be as wrong the next time: what the row holds takes their place. */
  private async fromRow(row: R, cause: Error): Promise<F[]> {
    this.options.logger.error({ err: cause, id: row.id, tenantId: row.tenantId }, 'a log is malformed and made anew from its result');
    await this.options.logs.delete(row.id);
    const frames = this.options.framesOf(row);
    return [...frames, this.options.endOf(row, frames.length + 1)];
  }
}
