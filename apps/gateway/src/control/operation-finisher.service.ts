import { Inject, Injectable } from '@nestjs/common';
import type { OperationOutcome } from '#contracts';
import type { OperationId, TenantId } from '#kernel';
import type { Repositories } from '#persistence';
import type { OperationProgressStream } from '#queue';
import { OPERATION_PROGRESS, REPOSITORIES } from '../platform/platform.js';

/** Makes operations final: the row, then the end of their progress for those who follow it. */
@Injectable()
export class OperationFinisher {
  constructor(
    @Inject(REPOSITORIES) private readonly repositories: Repositories,
    @Inject(OPERATION_PROGRESS) private readonly progress: OperationProgressStream,
  ) {}

  /** Idempotent. The row's first end stays, and so does the progress's. */
  async finish(tenantId: TenantId, id: OperationId, at: Date, outcome: OperationOutcome): Promise<void> {
    await this.repositories.operations.markFinished(tenantId, id, at, outcome);
    // Only what belongs to a row has a stream.
    if ((await this.repositories.operations.find(tenantId, id)) === undefined) return;
    await this.progress.append(id, [outcome.error === null ? { aux: outcome.result ?? {} } : { error: outcome.error }], { end: true });
  }
}
