import { Inject, Injectable } from '@nestjs/common';
import { isFinalRunState } from '#contracts';
import type { Clock, RunId, TenantId } from '#kernel';
import type { Repositories, Run } from '#persistence';
import type { RunBell } from '#queue';
import { Lifecycle } from '../platform/lifecycle.js';
import { CLOCK, REPOSITORIES, RUN_BELL } from '../platform/platform.js';

/** A ring can be missed; the row cannot. */
const LOOK_INTERVAL_MS = 2_000;

/** Waits for runs to end. */
@Injectable()
export class RunAwaiter {
  constructor(
    @Inject(REPOSITORIES) private readonly repositories: Repositories,
    @Inject(RUN_BELL) private readonly bell: RunBell,
    @Inject(CLOCK) private readonly clock: Clock,
    private readonly lifecycle: Lifecycle,
  ) {}

  /**
   * Arms the bell, lets `begin` start the run, and gives the row once it is final, or as it is when the time is up, the caller has
   * gone (`signal`) or the gateway drains.
   */
  async untilFinal(tenantId: TenantId, id: RunId, options: { timeoutMs: number; signal: AbortSignal; begin: () => Promise<void> }): Promise<Run | undefined> {
    const deadline = this.clock.monotonicMs() + options.timeoutMs;
    const over = AbortSignal.any([options.signal, this.lifecycle.draining]);
    const armed = this.bell.arm(id);
    try {
      await options.begin();
      for (;;) {
        const left = deadline - this.clock.monotonicMs();
        if (left > 0 && !over.aborted) await armed.wait(Math.min(left, LOOK_INTERVAL_MS), over);
        const run = await this.repositories.runs.find(tenantId, id);
        if (run === undefined || isFinalRunState(run.state) || over.aborted || this.clock.monotonicMs() >= deadline) return run;
      }
    } finally {
      armed.disarm();
    }
  }
}
