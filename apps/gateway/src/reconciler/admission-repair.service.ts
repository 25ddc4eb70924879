import { Inject, Injectable } from '@nestjs/common';
import type { RunId, TenantId } from '#kernel';
import type { Repositories, RunHead } from '#persistence';
import type { Admission } from '#queue';
import { RunDispatcher } from '../control/run-dispatcher.service.js';
import { GatewayMetrics } from '../health/gateway-metrics.js';
import { ADMISSION, REPOSITORIES } from '../platform/platform.js';
import { TenantDirectory } from '../tenants/tenant-directory.service.js';

interface Places {
  readonly executing: readonly RunId[];
  readonly waiting: readonly RunId[];
}

/** Makes the admission's line agree with the rows, and brings those whose turn it is to the queue. */
@Injectable()
export class AdmissionRepair {
  /** Tenants that had places in the round before: one whose last row is over has none in the rows, and may have some in Redis. */
  private known = new Set<TenantId>();
  /** Disagreements of the round before. One that does not stand is a run that moved while it was looked at. */
  private disagreed = new Set<TenantId>();

  constructor(
    @Inject(REPOSITORIES) private readonly repositories: Repositories,
    @Inject(ADMISSION) private readonly admission: Admission,
    private readonly dispatcher: RunDispatcher,
    private readonly tenants: TenantDirectory,
    private readonly metrics: GatewayMetrics,
  ) {}

  async agree(places: ReadonlyMap<TenantId, Places>, young: ReadonlySet<RunId>): Promise<void> {
    const disagreeing = new Set<TenantId>();
    for (const tenantId of new Set([...this.known, ...places.keys()])) {
      const { executing, waiting } = places.get(tenantId) ?? { executing: [], waiting: [] };
      if (await this.agrees(tenantId, executing.length, waiting.length)) continue;
      disagreeing.add(tenantId);
      if (!this.disagreed.has(tenantId)) continue;
      const limits = await this.tenants.limitsOf(tenantId);
      const turn = await this.admission.repair(tenantId, { executing, waiting }, limits);
      await this.dispatcher.promote(tenantId, turn.filter((id) => !young.has(id)));
      for (const id of turn) if (!young.has(id)) this.metrics.repaired('requeued');
    }
    this.known = new Set(places.keys());
    this.disagreed = disagreeing;
  }

  async requeue(run: Pick<RunHead, 'id' | 'tenantId'>): Promise<void> {
    const full = await this.repositories.runs.find(run.tenantId, run.id);
    if (full === undefined) return;
    await this.dispatcher.enqueue(full, 'requeued');
    this.metrics.repaired('requeued');
  }

  /** Nobody may wait while there is room: a run that lost its job is counted as executing in Redis and as waiting by the rows. */
  private async agrees(tenantId: TenantId, executing: number, waiting: number): Promise<boolean> {
    const counts = await this.admission.counts(tenantId);
    if (counts.executing !== executing || counts.waiting !== waiting) return false;
    const { concurrentRuns } = await this.tenants.limitsOf(tenantId);
    return waiting === 0 || executing >= concurrentRuns;
  }
}
