import { Inject, Injectable } from '@nestjs/common';
import type { Logger } from '#kernel';
import type { RunHead } from '#persistence';
import { RunAbandonment } from '../control/run-abandonment.service.js';
import { GatewayMetrics } from '../health/gateway-metrics.js';
import { LOGGER } from '../platform/platform.js';
import { RunInteraction } from '../runs/run-interaction.service.js';

/** The ends that the reconciler brings about. */
@Injectable()
export class RunEnds {
  constructor(
    private readonly abandonment: RunAbandonment,
    private readonly interaction: RunInteraction,
    private readonly metrics: GatewayMetrics,
    @Inject(LOGGER) private readonly logger: Logger,
  ) {}

  async lose(run: RunHead, message: string): Promise<void> {
    this.logger.warn({ runId: run.id, tenantId: run.tenantId, nodeId: run.nodeId }, message);
    await this.abandonment.lose(run, message);
    this.metrics.repaired('lost');
    this.metrics.runs.reached('lost');
  }

  async cancel(run: RunHead): Promise<void> {
    await this.interaction.carryOutCancel(run);
    this.metrics.repaired('cancelled');
  }

  async resumeOverdue(ageMs: number): Promise<void> {
    for (const { tenantId, runId } of await this.abandonment.overdue(ageMs)) {
      await this.abandonment.resume(tenantId, runId);
      this.metrics.repaired('settled');
    }
  }
}
