import { Inject, Injectable } from '@nestjs/common';
import { isId, type Clock, type Logger, type RunId, type TenantId } from '#kernel';
import type { Repositories } from '#persistence';
import { CLOCK, LOGGER, REPOSITORIES } from '../platform/platform.js';
import { AdmissionRepair } from './admission-repair.service.js';
import { EvidenceGatherer } from './evidence-gatherer.service.js';
import { judge, type Evidence, type Judgement } from './judgement.js';
import { RunEnds } from './run-ends.service.js';
import { Suspicions } from './suspicions.js';

const UNSETTLED_MS = 5_000;
/** One round closes the difference between the rows and what queue and nodes say. Level-triggered: it remembers only suspicions. */
@Injectable()
export class RunReconciler {
  private readonly suspicions = new Suspicions();

  constructor(
    @Inject(REPOSITORIES) private readonly repositories: Repositories,
    private readonly gatherer: EvidenceGatherer,
    private readonly repair: AdmissionRepair,
    private readonly ends: RunEnds,
    @Inject(CLOCK) private readonly clock: Clock,
    @Inject(LOGGER) private readonly logger: Logger,
  ) {}

  /** Another gateway has the lease: what was suspected is stale when it comes back. */
  pause(): void {
    this.suspicions.clear();
  }

  async round(): Promise<void> {
    await this.ends.resumeOverdue(UNSETTLED_MS);
    const runs = await this.repositories.runs.listUnfinished();
    const evidence = await this.gatherer.gather(runs);
    const places = new Map<TenantId, { executing: RunId[]; waiting: RunId[] }>();
    for (const item of evidence) {
      const judgement = judge(item);
      placesOf(places, item.run.tenantId)[judgement === 'waiting' || judgement === 'young' ? 'waiting' : 'executing'].push(item.run.id);
      await this.treat(item, judgement);
    }
    this.suspicions.endRound();
    await this.repair.agree(places, new Set(evidence.filter((item) => judge(item) === 'young').map(({ run }) => run.id)));
  }

  /** One run that cannot be treated must not keep the others from it. */
  private async treat(evidence: Evidence, judgement: Judgement): Promise<void> {
    const { run } = evidence;
    try {
      if (judgement === 'node_gone' || judgement === 'unknown_to_node') {
        const ended = await this.gatherer.logEnded(run.id);
        if (this.suspicions.note(run.id, judgement, this.clock.now(), ended)) {
          await this.ends.lose(evidence, judgement);
          return;
        }
      }
      if (judgement === 'orphaned') await this.repair.requeue(run);
      if (run.cancelRequestedAt !== null && judgement !== 'young') await this.ends.cancel(run);
    } catch (error) {
      this.logger.warn({ err: error, runId: run.id, tenantId: run.tenantId, judgement }, 'could not treat a run');
    }
  }
}

function placesOf(places: Map<TenantId, { executing: RunId[]; waiting: RunId[] }>, tenantId: TenantId) {
  const known = places.get(tenantId);
  if (known !== undefined) return known;
  const made = { executing: [], waiting: [] };
  if (isId('tenant', tenantId)) places.set(tenantId, made);
  return made;
}
