import { Inject, Injectable } from '@nestjs/common';
import { isErrorCode, type Clock, type Logger } from '#kernel';
import type { Operation, Repositories } from '#persistence';
import type { OperationProgressStream } from '#queue';
import { OperationFinisher } from '../control/operation-finisher.service.js';
import { OperationJobs } from '../operations/operation-jobs.service.js';
import { CLOCK, LOGGER, OPERATION_PROGRESS, REPOSITORIES } from '../platform/platform.js';
import { TenantDirectory } from '../tenants/tenant-directory.service.js';
import { GoneJobs } from './gone-jobs.js';

const MAX_REQUEUED = 3;

/** What follows for an operation whose job is gone. */
@Injectable()
export class OperationEnds {
  constructor(
    @Inject(REPOSITORIES) private readonly repositories: Repositories,
    @Inject(OPERATION_PROGRESS) private readonly progress: OperationProgressStream,
    private readonly finisher: OperationFinisher,
    private readonly jobs: OperationJobs,
    private readonly directory: TenantDirectory,
    @Inject(CLOCK) private readonly clock: Clock,
  ) {}

  async settle(operation: Operation): Promise<void> {
    const last = await this.progress.last(operation.id);
    if (last?.end === true) await this.adopt(operation, last);
    else if (operation.cancelRequestedAt !== null) await this.jobs.endCancelled(operation);
    else if (operation.withAuth) await this.jobs.fail(operation, 'the operation was lost with its credentials: try again');
    else if (operation.requeued >= MAX_REQUEUED) await this.jobs.fail(operation, 'the operation was lost again and again');
    else await this.requeue(operation);
  }

  /** Its node had come to an end, and the event that says so was lost. */
  private async adopt({ tenantId, id }: Operation, { error, aux }: NonNullable<Awaited<ReturnType<OperationProgressStream['last']>>>): Promise<void> {
    const at = new Date(this.clock.now());
    if (error === undefined) return this.finisher.finish(tenantId, id, at, { state: 'succeeded', result: aux ?? {}, error: null });
    const code = isErrorCode(error.code) ? error.code : 'internal';
    return this.finisher.finish(tenantId, id, at, { state: code === 'cancelled' ? 'cancelled' : 'failed', result: null, error: { code, message: error.message } });
  }

  private async requeue(operation: Operation): Promise<void> {
    if (!(await this.repositories.operations.markRequeued(operation.tenantId, operation.id))) return;
    await this.jobs.enqueue(operation, await this.directory.limitsOf(operation.tenantId));
  }
}

/** Pulls and pushes. */
@Injectable()
export class OperationReconciler {
  private readonly gone: GoneJobs<Operation>;

  constructor(@Inject(REPOSITORIES) { operations }: Repositories, jobs: OperationJobs, ends: OperationEnds, @Inject(CLOCK) clock: Clock, @Inject(LOGGER) logger: Logger) {
    this.gone = new GoneJobs({ unfinished: () => operations.listUnfinished(), has: (row) => jobs.has(row), cancel: (row) => jobs.cancel(row), settle: (row) => ends.settle(row) }, clock, logger);
  }

  round(): Promise<void> {
    return this.gone.round();
  }
}
