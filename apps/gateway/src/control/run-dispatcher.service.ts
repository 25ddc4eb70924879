import { Inject, Injectable } from '@nestjs/common';
import { isFinalRunState } from '#contracts';
import type { RunId, TenantId } from '#kernel';
import type { Repositories, Run } from '#persistence';
import type { Admission, RunClaims, RunQueue } from '#queue';
import { ADMISSION, REPOSITORIES, RUN_CLAIMS, RUN_QUEUE } from '../platform/platform.js';
import { TenantDirectory } from '../tenants/tenant-directory.service.js';

/** Brings queued rows to the workers, as many of a tenant at once as it may have. */
@Injectable()
export class RunDispatcher {
  constructor(
    @Inject(REPOSITORIES) private readonly repositories: Repositories,
    @Inject(ADMISSION) private readonly admission: Admission,
    @Inject(RUN_QUEUE) private readonly queue: RunQueue,
    @Inject(RUN_CLAIMS) private readonly claims: RunClaims,
    private readonly tenants: TenantDirectory,
  ) {}

  /** Admits a new run and enqueues it when its turn is now. @throws CodedError `quota_exceeded` */
  async submit(run: Run, requestId: string): Promise<void> {
    const limits = await this.tenants.limitsOf(run.tenantId);
    const turn = await this.admission.admit(run.tenantId, run.id, limits);
    if (turn === 'dispatch') await this.enqueue(run, requestId);
  }

  /** Nobody executes it from now on and it holds no place. Idempotent. */
  async withdraw(tenantId: TenantId, runId: RunId): Promise<void> {
    await this.claims.cancelUnlessStarted(runId);
    await this.queue.remove(runId);
    await this.release(tenantId, runId);
  }

  /** A run is over: its place goes to those that wait. Idempotent. */
  async release(tenantId: TenantId, runId: RunId): Promise<void> {
    const limits = await this.tenants.limitsOf(tenantId);
    await this.promote(tenantId, await this.admission.release(tenantId, runId, limits));
  }

  /**
   * Enqueues runs whose turn the admission says it is. A crash on the way leaves queued rows without a job, which the reconciler
   * finds. One that needs no place any more (cancelled, deleted) passes it on.
   */
  async promote(tenantId: TenantId, runIds: readonly RunId[]): Promise<void> {
    const pending = [...runIds];
    for (let id = pending.shift(); id !== undefined; id = pending.shift()) {
      const run = await this.repositories.runs.find(tenantId, id);
      if (run !== undefined && !isFinalRunState(run.state)) await this.enqueue(run, 'promoted');
      else pending.push(...(await this.admission.release(tenantId, id, await this.tenants.limitsOf(tenantId))));
    }
  }

  async enqueue(run: Run, requestId: string): Promise<void> {
    const tenantLimits = await this.tenants.limitsOf(run.tenantId);
    await this.queue.enqueue({ runId: run.id, tenantId: run.tenantId, requestId, spec: run.spec, tenantLimits });
  }
}
