import { Inject, Injectable } from '@nestjs/common';
import { isFinalRunState, type CreateRun, type ListRunsQuery, type Page, type RunView } from '#contracts';
import { CodedError, newId, parseId, type Clock, type Logger, type RunId } from '#kernel';
import type { Repositories, Run } from '#persistence';
import type { TenantCaller } from '../auth/caller.js';
import { RunDispatcher } from '../control/run-dispatcher.service.js';
import { RuntimeCatalogue } from '../nodes/runtime-catalogue.service.js';
import { withinDeadline } from '../platform/deadline.js';
import { CLOCK, LOGGER, REPOSITORIES } from '../platform/platform.js';
import { RunAwaiter } from './run-awaiter.service.js';
import { toRunView } from './run-view.js';
import { fitToTenant } from './tenant-maxima.js';

const SUBMIT_DEADLINE_MS = 5_000;

export interface CreateOptions {
  readonly requestId: string;
  readonly idempotencyKey: string | undefined;
  /** Undefined: do not wait. */
  readonly waitMs: number | undefined;
  /** Fires when the caller has hung up. The run goes on. */
  readonly hungUp: AbortSignal;
}

@Injectable()
export class RunsService {
  constructor(
    @Inject(REPOSITORIES) private readonly repositories: Repositories,
    private readonly dispatcher: RunDispatcher,
    private readonly catalogue: RuntimeCatalogue,
    private readonly awaiter: RunAwaiter,
    @Inject(CLOCK) private readonly clock: Clock,
    @Inject(LOGGER) private readonly logger: Logger,
  ) {}

  /**
   * Row first, then its place in the tenant's line, then the job. Refused for its quota, or when Redis is away, the row is taken back:
   * the caller was told that nothing was made, so nothing may be executed later. Should taking it back fail as well, the reconciler
   * finds a queued row and executes it once; a repeated call with the same Idempotency-Key is then given that run.
   * @throws CodedError `invalid_argument`, `conflict`, `quota_exceeded`, `unavailable`
   */
  async create(caller: TenantCaller, given: CreateRun, options: CreateOptions): Promise<{ view: RunView; final: boolean }> {
    const { tenant } = caller;
    const spec = { ...given, runtime: await this.catalogue.resolve(given.runtime), limits: fitToTenant(given.limits, tenant.limits) };
    const { run, created } = await this.repositories.runs.create(tenant.id, { id: newId('run', this.clock.now()), spec, createdAt: new Date(this.clock.now()), idempotencyKey: options.idempotencyKey });
    const begin = async (): Promise<void> => {
      if (created) await this.submit(run, options.requestId);
    };
    if (options.waitMs === undefined) {
      await begin();
      return { view: toRunView(run), final: isFinalRunState(run.state) };
    }
    if (!created && isFinalRunState(run.state)) return { view: toRunView(run), final: true };
    const seen = await this.awaiter.untilFinal(tenant.id, run.id, { timeoutMs: options.waitMs, signal: options.hungUp, begin });
    // A repeated call whose first one was refused meanwhile.
    if (seen === undefined) throw new CodedError('unavailable', 'the run was taken back: try again');
    return { view: toRunView(seen), final: isFinalRunState(seen.state) };
  }

  /** @throws CodedError `not_found`, the same for another tenant's run, one that never was, and what is no id */
  async find(caller: TenantCaller, id: string): Promise<Run> {
    const run = await this.repositories.runs.find(caller.tenant.id, parseRunId(id));
    if (run === undefined) throw noSuchRun();
    return run;
  }

  async get(caller: TenantCaller, id: string): Promise<RunView> {
    return toRunView(await this.find(caller, id));
  }

  async list(caller: TenantCaller, query: ListRunsQuery): Promise<Page<RunView>> {
    const page = await this.repositories.runs.list(caller.tenant.id, query);
    return { items: page.items.map(toRunView), nextCursor: page.nextCursor };
  }

  private async submit(run: Run, requestId: string): Promise<void> {
    const submitting = this.dispatcher.submit(run, requestId);
    try {
      await withinDeadline('the queue', SUBMIT_DEADLINE_MS, submitting);
    } catch (error) {
      await this.takeBack(run);
      // What was refused holds no place, and what was given up as late may still succeed: neither may execute without its row.
      void submitting.catch(() => undefined).then(() => this.undo(run));
      throw error;
    }
  }

  private async takeBack(run: Run): Promise<void> {
    try {
      await this.repositories.runs.discard(run.tenantId, run.id);
    } catch (error) {
      this.logger.error({ err: error, runId: run.id, tenantId: run.tenantId }, 'could not take back a refused run: the reconciler will execute it');
    }
  }

  /** Only of a run whose row is gone. Redis may still be away: then the reconciler frees its place. */
  private async undo(run: Run): Promise<void> {
    try {
      if ((await this.repositories.runs.find(run.tenantId, run.id)) === undefined) await this.dispatcher.withdraw(run.tenantId, run.id);
    } catch (error) {
      this.logger.warn({ err: error, runId: run.id, tenantId: run.tenantId }, 'could not withdraw a refused run from the queue');
    }
  }
}

export function noSuchRun(): CodedError {
  return new CodedError('not_found', 'no such run', { kind: 'run' });
}

export function parseRunId(id: string): RunId {
  return parseId('run', id);
}
