import { Inject, Injectable } from '@nestjs/common';
import type { NodeEvent, RunEvent, RunOutcome } from '#contracts';
import { isId, type Logger, type NodeId, type RunId, type TenantId } from '#kernel';
import type { Repositories } from '#persistence';
import { GatewayMetrics } from '../health/gateway-metrics.js';
import { LOGGER, REPOSITORIES } from '../platform/platform.js';
import { BuildEvents } from './build-events.service.js';
import { OperationEvents } from './operation-events.service.js';
import { RunFinisher } from './run-finisher.service.js';

const MAX_ATTEMPTS = 5;

interface Identified {
  readonly tenantId: TenantId;
  readonly id: RunId;
  readonly nodeId: NodeId;
  readonly epoch: number;
  readonly at: Date;
}

/** Writes what nodes report into the rows. Every event may come again, and then changes nothing. */
@Injectable()
export class NodeEventsService {
  private readonly attempts = new Map<RunId, number>();

  constructor(
    @Inject(REPOSITORIES) private readonly repositories: Repositories,
    private readonly finisher: RunFinisher,
    private readonly operations: OperationEvents,
    private readonly builds: BuildEvents,
    private readonly metrics: GatewayMetrics,
    @Inject(LOGGER) private readonly logger: Logger,
  ) {}

  /** Throws when any of it has to come again; the rest is done all the same. */
  async apply(batch: readonly NodeEvent[]): Promise<void> {
    const known = batch.filter((event) => this.wellFormed(event));
    await this.operations.apply(known.filter((event) => 'operationId' in event));
    await this.builds.apply(known.filter((event) => 'buildId' in event));
    const events = known.filter((event) => 'runId' in event);
    await this.applyStarts(events);
    const ends = newestPerRun(events.filter((event) => event.type === 'run.finished'));
    try {
      await this.finisher.finish(ends.map(({ event, ...end }) => ({ ...end, outcome: event.outcome })));
    } catch (error) {
      this.logger.warn({ err: error, ends: ends.length }, 'could not finish a batch of runs: one by one');
      await this.finishOneByOne(ends);
    }
    for (const { id } of ends) this.attempts.delete(id);
  }

  private async applyStarts(events: readonly RunEvent[]): Promise<void> {
    const starts = newestPerRun(events.filter((event) => event.type === 'run.started'));
    if (starts.length === 0) return;
    const changed = await this.repositories.runs.markStarted(starts.map(({ tenantId, id, nodeId, epoch, at }) => ({ tenantId, id, nodeId, epoch, at })));
    for (let count = 0; count < changed.length; count += 1) this.metrics.runs.reached('running');
  }

  private async finishOneByOne(ends: readonly (Identified & { event: { outcome: RunOutcome } })[]): Promise<void> {
    const failures: unknown[] = [];
    for (const { event, ...end } of ends) {
      try {
        await this.finisher.finish([{ ...end, outcome: event.outcome }]);
      } catch (error) {
        if (!(await this.giveUpOn(end, error))) failures.push(error);
      }
    }
    if (failures.length > 0) throw new AggregateError(failures, `${failures.length} runs could not be finished`);
  }

  /** A result that cannot be written however often it comes must not leave its run "running" for ever. */
  private async giveUpOn(end: Identified, error: unknown): Promise<boolean> {
    const attempts = (this.attempts.get(end.id) ?? 0) + 1;
    this.attempts.set(end.id, attempts);
    if (attempts < MAX_ATTEMPTS) return false;
    try {
      await this.repositories.ping();
      const outcome: RunOutcome = { state: 'internal_error', failedStep: null, compile: null, run: null, error: { code: 'internal', message: 'the result could not be stored' } };
      await this.finisher.finish([{ ...end, outcome }]);
    } catch {
      // The database is away, not the result wrong.
      return false;
    }
    this.logger.error({ err: error, runId: end.id, tenantId: end.tenantId }, 'gave up storing the result of a run');
    return true;
  }

  /** A broken-into node can send what it likes; ids that name nothing are dropped, not retried. */
  private wellFormed(event: NodeEvent): boolean {
    const good = hasSubject(event) && isId('tenant', event.tenantId) && isId('node', event.nodeId);
    if (!good) this.logger.warn({ type: event.type }, 'dropped a node event with malformed ids');
    return good;
  }
}

function hasSubject(event: NodeEvent): boolean {
  if ('runId' in event) return isId('run', event.runId);
  return 'buildId' in event ? isId('build', event.buildId) : isId('operation', event.operationId);
}

/** Of several events of one run in a batch, the one of the newest claim; of equals, the first. */
function newestPerRun<E extends RunEvent>(events: readonly E[]): (Identified & { event: E })[] {
  const newest = new Map<string, E>();
  for (const event of events) {
    const known = newest.get(event.runId);
    if (known === undefined || event.epoch > known.epoch) newest.set(event.runId, event);
  }
  return [...newest.values()].map((event) => ({
    tenantId: event.tenantId as TenantId,
    id: event.runId as RunId,
    nodeId: event.nodeId as NodeId,
    epoch: event.epoch,
    at: new Date(event.time),
    event,
  }));
}
