import { Inject, Injectable } from '@nestjs/common';
import type { Logger } from '#kernel';
import type { RunHead } from '#persistence';
import { RunAbandonment } from '../control/run-abandonment.service.js';
import { GatewayMetrics } from '../health/gateway-metrics.js';
import { LOGGER } from '../platform/platform.js';
import { RunInteraction } from '../runs/run-interaction.service.js';
import type { Evidence } from './judgement.js';
import type { Suspicion } from './suspicions.js';

const MESSAGES: Readonly<Record<Suspicion, string>> = {
  node_gone: 'the node that executed the run is gone',
  unknown_to_node: 'the node that executed the run no longer knows it',
};

/** The ends that the reconciler brings about. */
@Injectable()
export class RunEnds {
  constructor(
    private readonly abandonment: RunAbandonment,
    private readonly interaction: RunInteraction,
    private readonly metrics: GatewayMetrics,
    @Inject(LOGGER) private readonly logger: Logger,
  ) {}

  async lose({ run, claim }: Evidence, reason: Suspicion): Promise<void> {
    if (!(await this.abandonment.lose(run, { claim, nodeGone: reason === 'node_gone' }, MESSAGES[reason]))) return;
    this.logger.warn({ runId: run.id, tenantId: run.tenantId, nodeId: run.nodeId }, MESSAGES[reason]);
    this.metrics.repaired('lost');
  }

  async cancel(run: RunHead): Promise<void> {
    await this.interaction.carryOutCancel(run);
    this.metrics.repaired('cancelled');
  }

  /** One that cannot be settled now must not keep the reconciler from the others: it stays in the journal. */
  async resumeOverdue(ageMs: number): Promise<void> {
    for (const { tenantId, runId } of await this.abandonment.overdue(ageMs)) {
      try {
        await this.abandonment.resume(tenantId, runId);
        this.metrics.repaired('settled');
      } catch (error) {
        this.logger.warn({ err: error, runId, tenantId }, 'could not settle a run');
      }
    }
  }
}
