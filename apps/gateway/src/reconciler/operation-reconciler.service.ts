import { Inject, Injectable } from '@nestjs/common';
import { isErrorCode, type Clock, type Logger, type OperationId } from '#kernel';
import type { Operation, Repositories } from '#persistence';
import type { OperationProgressStream } from '#queue';
import { OperationFinisher } from '../control/operation-finisher.service.js';
import { OperationJobs } from '../operations/operation-jobs.service.js';
import { CLOCK, LOGGER, OPERATION_PROGRESS, REPOSITORIES } from '../platform/platform.js';
import { TenantDirectory } from '../tenants/tenant-directory.service.js';

/** What follows for an operation whose job is gone. */
@Injectable()
export class OperationEnds {
  constructor(
    @Inject(REPOSITORIES) private readonly repositories: Repositories,
    private readonly finisher: OperationFinisher,
    private readonly jobs: OperationJobs,
    private readonly directory: TenantDirectory,
    @Inject(CLOCK) private readonly clock: Clock,
  ) {}

  /** Its node had come to an end, and the event that says so was lost. */
  async adopt({ tenantId, id }: Operation, { error, aux }: NonNullable<Awaited<ReturnType<OperationProgressStream['last']>>>): Promise<void> {
    const at = new Date(this.clock.now());
    if (error === undefined) return this.finisher.finish(tenantId, id, at, { state: 'succeeded', result: aux ?? {}, error: null });
    const code = isErrorCode(error.code) ? error.code : 'internal';
    return this.finisher.finish(tenantId, id, at, { state: code === 'cancelled' ? 'cancelled' : 'failed', result: null, error: { code, message: error.message } });
  }

  async requeue(operation: Operation): Promise<void> {
    if (!(await this.repositories.operations.markRequeued(operation.tenantId, operation.id))) return;
    await this.jobs.enqueue(operation, await this.directory.limitsOf(operation.tenantId));
  }
}

/** A job may be gone because its end is on its way here: it is believed lost when it has been gone for so long. */
const GONE_MS = 5_000;
const MAX_REQUEUED = 3;

/** Closes the difference between the rows of pulls and pushes and the nodes' queues. */
@Injectable()
export class OperationReconciler {
  private readonly goneSince = new Map<OperationId, number>();

  constructor(
    @Inject(REPOSITORIES) private readonly repositories: Repositories,
    @Inject(OPERATION_PROGRESS) private readonly progress: OperationProgressStream,
    private readonly jobs: OperationJobs,
    private readonly ends: OperationEnds,
    @Inject(CLOCK) private readonly clock: Clock,
    @Inject(LOGGER) private readonly logger: Logger,
  ) {}

  async round(): Promise<void> {
    const unfinished = await this.repositories.operations.listUnfinished();
    const ids = new Set(unfinished.map(({ id }) => id));
    for (const id of this.goneSince.keys()) if (!ids.has(id)) this.goneSince.delete(id);
    for (const operation of unfinished) {
      try {
        await this.treat(operation);
      } catch (error) {
        this.logger.warn({ err: error, operationId: operation.id, tenantId: operation.tenantId }, 'could not treat an operation');
      }
    }
  }

  private async treat(operation: Operation): Promise<void> {
    if (await this.jobs.has(operation)) {
      this.goneSince.delete(operation.id);
      if (operation.cancelRequestedAt !== null) await this.jobs.cancel(operation);
      return;
    }
    const now = this.clock.now();
    const since = this.goneSince.get(operation.id) ?? now;
    this.goneSince.set(operation.id, since);
    if (now - since < GONE_MS) return;
    this.goneSince.delete(operation.id);
    const last = await this.progress.last(operation.id);
    if (last?.end === true) await this.ends.adopt(operation, last);
    else if (operation.cancelRequestedAt !== null) await this.jobs.endCancelled(operation);
    else if (operation.withAuth) await this.jobs.fail(operation, 'the operation was lost with its credentials: try again');
    else if (operation.requeued >= MAX_REQUEUED) await this.jobs.fail(operation, 'the operation was lost again and again');
    else await this.ends.requeue(operation);
  }
}
