import { Inject, Injectable } from '@nestjs/common';
import type { RunOutcome } from '#contracts';
import type { RunId } from '#kernel';
import type { RunHead } from '#persistence';
import type { RunClaims } from '#queue';
import { GatewayMetrics } from '../health/gateway-metrics.js';
import { RUN_CLAIMS } from '../platform/platform.js';

/** Turns final rows into figures, each once: an end that comes again changes no row. */
@Injectable()
export class RunMeasurements {
  constructor(
    @Inject(RUN_CLAIMS) private readonly claims: RunClaims,
    private readonly metrics: GatewayMetrics,
  ) {}

  /** `runs` are the rows that `ends` changed. Never rejects: figures are not worth a run. */
  async observe(runs: readonly RunHead[], ends: readonly { readonly id: RunId; readonly outcome: RunOutcome }[]): Promise<void> {
    const outcomes = new Map(ends.map(({ id, outcome }) => [id, outcome]));
    await Promise.all(runs.map((run) => this.observeOne(run, outcomes.get(run.id))));
  }

  private async observeOne(run: RunHead, outcome: RunOutcome | undefined): Promise<void> {
    this.metrics.runs.reached(run.state);
    if (run.startedAt === null) return;
    const started = run.startedAt.getTime();
    // Redis may have lost the claim; then the time until the start cannot be told apart.
    const taken = (await this.claims.takenAt(run.id).catch(() => undefined))?.getTime();
    if (taken !== undefined) {
      this.spent('queue', taken - run.createdAt.getTime());
      this.spent('sandbox', started - taken);
    }
    if (outcome?.run != null || outcome?.compile != null) this.spent('execute', (outcome.compile?.wallTimeMs ?? 0) + (outcome.run?.wallTimeMs ?? 0));
  }

  /** The clocks of gateway, Redis and node differ. */
  private spent(phase: 'queue' | 'sandbox' | 'execute', milliseconds: number): void {
    this.metrics.runs.spent(phase, Math.max(0, milliseconds));
  }
}
