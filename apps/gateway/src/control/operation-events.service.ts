import { Inject, Injectable } from '@nestjs/common';
import type { OperationEvent } from '#contracts';
import type { Logger, OperationId, TenantId } from '#kernel';
import type { Repositories } from '#persistence';
import { LOGGER, REPOSITORIES } from '../platform/platform.js';
import { applyHomeEvents } from './home-events.js';
import { OperationFinisher } from './operation-finisher.service.js';

/** Writes what nodes report of pulls and pushes into the rows. */
@Injectable()
export class OperationEvents {
  constructor(
    @Inject(REPOSITORIES) private readonly repositories: Repositories,
    private readonly finisher: OperationFinisher,
    @Inject(LOGGER) private readonly logger: Logger,
  ) {}

  /** @throws as `applyHomeEvents` */
  apply(events: readonly OperationEvent[]): Promise<void> {
    const { operations } = this.repositories;
    return applyHomeEvents(events, {
      find: ({ tenantId, operationId }) => operations.find(tenantId as TenantId, operationId as OperationId),
      apply: (event) => {
        const [tenantId, id, at] = [event.tenantId as TenantId, event.operationId as OperationId, new Date(event.time)];
        return event.type === 'operation.started' ? operations.markStarted(tenantId, id, at) : this.finisher.finish(tenantId, id, at, event.outcome);
      },
      logger: this.logger,
    });
  }
}
