import { Inject, Injectable } from '@nestjs/common';
import type { NodeHeartbeat } from '#contracts';
import type { Clock, RunId } from '#kernel';
import type { RunHead } from '#persistence';
import type { NodeRegistry, RunClaims, RunLogStream, RunQueue } from '#queue';
import { CLOCK, NODE_REGISTRY, RUN_CLAIMS, RUN_LOG_STREAM, RUN_QUEUE } from '../platform/platform.js';
import type { Evidence } from './judgement.js';

const AT_ONCE = 32;

/** Asks Redis what it knows of unfinished rows. */
@Injectable()
export class EvidenceGatherer {
  constructor(
    @Inject(RUN_CLAIMS) private readonly claims: RunClaims,
    @Inject(RUN_QUEUE) private readonly queue: RunQueue,
    @Inject(NODE_REGISTRY) private readonly nodes: NodeRegistry,
    @Inject(RUN_LOG_STREAM) private readonly logs: RunLogStream,
    @Inject(CLOCK) private readonly clock: Clock,
  ) {}

  async gather(runs: readonly RunHead[]): Promise<Evidence[]> {
    const nodes = new Map((await this.nodes.list()).map((node) => [node.nodeId, node]));
    const evidence: Evidence[] = [];
    for (let start = 0; start < runs.length; start += AT_ONCE) {
      evidence.push(...(await Promise.all(runs.slice(start, start + AT_ONCE).map((run) => this.look(run, nodes)))));
    }
    return evidence;
  }

  async logEnded(runId: RunId): Promise<boolean> {
    return (await this.logs.last(runId))?.ended === true;
  }

  /** The job first: a run that goes from queue to claim between the two looks is then seen twice, not never. */
  private async look(run: RunHead, nodes: ReadonlyMap<string, NodeHeartbeat>): Promise<Evidence> {
    const hasJob = run.state === 'queued' && (await this.queue.has(run.id));
    const claim = await this.claims.get(run.id);
    const nodeId = claim?.nodeId ?? run.nodeId;
    return { run, claim, hasJob, node: nodeId === null ? undefined : nodes.get(nodeId), now: this.clock.now() };
  }
}
