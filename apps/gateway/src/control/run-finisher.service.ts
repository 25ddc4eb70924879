import { Inject, Injectable } from '@nestjs/common';
import { isFinalRunState, type RunOutcome } from '#contracts';
import type { Clock, RunId, TenantId } from '#kernel';
import type { Repositories } from '#persistence';
import type { RunBell, RunClaims, RunLogStream } from '#queue';
import { CLOCK, REPOSITORIES, RUN_BELL, RUN_CLAIMS, RUN_LOG_STREAM } from '../platform/platform.js';
import { RunDispatcher } from './run-dispatcher.service.js';
import { RunLogArchive } from './run-log-archive.service.js';
import { RunMeasurements } from './run-measurements.service.js';

const SETTLED_AT_ONCE = 4;

export interface RunEnd {
  readonly tenantId: TenantId;
  readonly id: RunId;
  readonly epoch: number;
  readonly at: Date;
  readonly outcome: RunOutcome;
}

/** What follows a final row: the places that hear of it, and what it gives back. */
@Injectable()
export class RunAftermath {
  constructor(
    @Inject(RUN_CLAIMS) private readonly claims: RunClaims,
    @Inject(RUN_BELL) private readonly bell: RunBell,
    @Inject(RUN_LOG_STREAM) private readonly logs: RunLogStream,
    private readonly dispatcher: RunDispatcher,
    private readonly archive: RunLogArchive,
  ) {}

  async announce(runIds: readonly RunId[]): Promise<void> {
    await Promise.all(runIds.map((id) => this.bell.ring(id)));
  }

  /** The row is final. Each step may be repeated; the log comes last, for nobody waits for it. */
  async settle(run: Parameters<RunLogArchive['archive']>[0]): Promise<void> {
    await this.dispatcher.release(run.tenantId, run.id);
    await this.claims.finish(run.id);
    await this.archive.archive(run);
  }

  /** There is no row (any more): nothing may execute for it and nothing of it stays. */
  async erase(tenantId: TenantId, id: RunId): Promise<void> {
    await this.claims.finish(id);
    await this.dispatcher.release(tenantId, id);
    await this.logs.delete(id);
  }
}

/**
 * Brings runs to their end: final row → whoever waits hears of it → the tenant's next run starts → the claim is closed → the log is
 * saved. The row comes first because it is the truth; all after it is idempotent, and whoever calls repeats the whole after a crash
 * (events are redelivered, the settlement journal is read by the reconciler).
 */
@Injectable()
export class RunFinisher {
  constructor(
    @Inject(REPOSITORIES) private readonly repositories: Repositories,
    private readonly aftermath: RunAftermath,
    private readonly measurements: RunMeasurements,
    @Inject(CLOCK) private readonly clock: Clock,
  ) {}

  async finish(ends: readonly RunEnd[]): Promise<void> {
    if (ends.length === 0) return;
    const changed = await this.repositories.runs.markFinished(ends);
    await this.aftermath.announce(changed.map(({ id }) => id));
    await this.measurements.observe(changed, ends);
    await this.settleAll(ends);
  }

  /** A few at a time: one tenant's long log must not keep another's next run waiting. All are tried, then the first failure is thrown. */
  private async settleAll(ends: readonly RunEnd[]): Promise<void> {
    const left = [...ends];
    const failures: unknown[] = [];
    const work = async (): Promise<void> => {
      for (let end = left.shift(); end !== undefined; end = left.shift()) {
        try {
          await this.settle(end.tenantId, end.id);
        } catch (error) {
          failures.push(error);
        }
      }
    };
    await Promise.all(Array.from({ length: SETTLED_AT_ONCE }, work));
    if (failures.length > 0) throw failures[0];
  }

  /** All that follows the final row. A row that is not final is left alone: the end was of an older claim. */
  async settle(tenantId: TenantId, id: RunId): Promise<void> {
    const run = await this.repositories.runs.find(tenantId, id);
    if (run === undefined) await this.aftermath.erase(tenantId, id);
    else if (isFinalRunState(run.state)) {
      await this.aftermath.announce([id]);
      await this.aftermath.settle(run);
    }
  }

  now(): Date {
    return new Date(this.clock.now());
  }
}
