import { Inject, Injectable } from '@nestjs/common';
import type { OperationEvent } from '#contracts';
import { isCodedError, type Logger, type OperationId, type TenantId } from '#kernel';
import type { Repositories } from '#persistence';
import { LOGGER, REPOSITORIES } from '../platform/platform.js';
import { OperationFinisher } from './operation-finisher.service.js';

/** Writes what nodes report of pulls and pushes into the rows. Every event may come again, and then changes nothing. Only an operation's own node is believed. */
@Injectable()
export class OperationEvents {
  constructor(
    @Inject(REPOSITORIES) private readonly repositories: Repositories,
    private readonly finisher: OperationFinisher,
    @Inject(LOGGER) private readonly logger: Logger,
  ) {}

  /** Ids are well-formed. Throws when any of it has to come again; the rest is done all the same. */
  async apply(events: readonly OperationEvent[]): Promise<void> {
    const failures: unknown[] = [];
    for (const event of events) {
      try {
        await this.applyOne(event);
      } catch (error) {
        // What the database will never take must not come again for ever: the reconciler ends the row.
        if (isCodedError(error) && error.code !== 'unavailable') this.logger.error({ err: error, operationId: event.operationId }, 'an event of an operation cannot be stored');
        else failures.push(error);
      }
    }
    if (failures.length > 0) throw new AggregateError(failures, `${failures.length} events of operations could not be stored`);
  }

  private async applyOne(event: OperationEvent): Promise<void> {
    const [tenantId, id, at] = [event.tenantId as TenantId, event.operationId as OperationId, new Date(event.time)];
    const operation = await this.repositories.operations.find(tenantId, id);
    if (operation === undefined || operation.finishedAt !== null) return;
    if (operation.nodeId !== event.nodeId) {
      this.logger.warn({ operationId: id, nodeId: event.nodeId }, "dropped an event of an operation that is another node's");
      return;
    }
    if (event.type === 'operation.started') await this.repositories.operations.markStarted(tenantId, id, at);
    else await this.finisher.finish(tenantId, id, at, event.outcome);
  }
}
