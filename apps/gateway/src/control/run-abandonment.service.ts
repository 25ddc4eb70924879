import { Inject, Injectable } from '@nestjs/common';
import type { RunOutcome } from '#contracts';
import type { RunId, TenantId } from '#kernel';
import type { RunHead } from '#persistence';
import type { Claim, RunClaims, RunQueue } from '#queue';
import { RUN_CLAIMS, RUN_QUEUE } from '../platform/platform.js';
import { RunFinisher } from './run-finisher.service.js';
import { SettlementJournal } from './settlement-journal.js';

type Subject = Pick<RunHead, 'id' | 'tenantId' | 'epoch'>;

/** Ends runs on the control side's own decision: cancelled before they started, or lost with their node. */
@Injectable()
export class RunAbandonment {
  constructor(
    @Inject(RUN_CLAIMS) private readonly claims: RunClaims,
    @Inject(RUN_QUEUE) private readonly queue: RunQueue,
    private readonly finisher: RunFinisher,
    private readonly journal: SettlementJournal,
  ) {}

  /** True: it will never start and is `cancelled`. False: its node has started it. */
  async cancelUnlessStarted(run: Subject): Promise<boolean> {
    await this.journal.open(run.tenantId, run.id);
    const cancelled = await this.claims.cancelUnlessStarted(run.id);
    if (cancelled) {
      await this.queue.remove(run.id);
      await this.end(run, { ...NOTHING, state: 'cancelled' });
    }
    await this.journal.close(run.tenantId, run.id);
    return cancelled;
  }

  /**
   * Its node is gone or knows nothing of it. Closes the claim first: no worker may take the run up after this. False, and nothing was
   * done, when one has since `evidence` was gathered.
   */
  async lose(run: Subject, evidence: { readonly claim: Claim | undefined; readonly nodeGone: boolean }, message: string): Promise<boolean> {
    if (!(await this.claims.finishIfUnchanged(run.id, evidence.claim, { nodeGone: evidence.nodeGone }))) return false;
    await this.journal.open(run.tenantId, run.id);
    await this.queue.remove(run.id);
    await this.end(run, { ...NOTHING, state: 'lost', error: { code: 'unavailable', message } });
    await this.journal.close(run.tenantId, run.id);
    return true;
  }

  /** Goes on where a gateway stopped in the middle of the above. */
  async resume(tenantId: TenantId, id: RunId): Promise<void> {
    await this.finisher.settle(tenantId, id);
    await this.journal.close(tenantId, id);
  }

  overdue(ageMs: number): Promise<{ tenantId: TenantId; runId: RunId }[]> {
    return this.journal.overdue(ageMs);
  }

  private async end(run: Subject, outcome: RunOutcome): Promise<void> {
    const claim = await this.claims.get(run.id);
    const epoch = Math.max(run.epoch, claim?.epoch ?? 0);
    await this.finisher.finish([{ tenantId: run.tenantId, id: run.id, epoch, at: this.finisher.now(), outcome }]);
  }
}

const NOTHING = { failedStep: null, compile: null, run: null, error: null } as const;
