import { Inject, Injectable } from '@nestjs/common';
import type { BuildNodeEvent } from '#contracts';
import type { BuildId, Logger, TenantId } from '#kernel';
import type { Repositories } from '#persistence';
import { LOGGER, REPOSITORIES } from '../platform/platform.js';
import { BuildFinisher } from './build-finisher.service.js';
import { applyHomeEvents } from './home-events.js';

/** Writes what nodes report of builds into the rows. */
@Injectable()
export class BuildEvents {
  constructor(
    @Inject(REPOSITORIES) private readonly repositories: Repositories,
    private readonly finisher: BuildFinisher,
    @Inject(LOGGER) private readonly logger: Logger,
  ) {}

  /** @throws as `applyHomeEvents` */
  apply(events: readonly BuildNodeEvent[]): Promise<void> {
    const { builds } = this.repositories;
    return applyHomeEvents(events, {
      find: ({ tenantId, buildId }) => builds.find(tenantId as TenantId, buildId as BuildId),
      apply: (event) => {
        const [tenantId, id, at] = [event.tenantId as TenantId, event.buildId as BuildId, new Date(event.time)];
        return event.type === 'build.started' ? builds.markStarted(tenantId, id, at) : this.finisher.finish(tenantId, id, at, event.outcome);
      },
      logger: this.logger,
    });
  }
}
