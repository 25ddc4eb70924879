import { Inject, Injectable } from '@nestjs/common';
import type { Clock, Logger } from '#kernel';
import type { Repositories } from '#persistence';
import { CLOCK, LOGGER, REPOSITORIES, SETTINGS } from '../platform/platform.js';
import type { GatewaySettings } from '../platform/settings.js';

const INTERVAL_MS = 60_000;
const BATCH = 500;

/** Deletes finished runs, builds and operations when they are older than the operator keeps them. */
@Injectable()
export class Retention {
  private sweptAt = -Infinity;

  constructor(
    @Inject(REPOSITORIES) private readonly repositories: Repositories,
    @Inject(SETTINGS) private readonly settings: GatewaySettings,
    @Inject(CLOCK) private readonly clock: Clock,
    @Inject(LOGGER) private readonly logger: Logger,
  ) {}

  /** Once a minute, a batch; a full batch is followed by another in the next round. */
  async sweep(): Promise<void> {
    const now = this.clock.now();
    if (now - this.sweptAt < INTERVAL_MS) return;
    const before = new Date(now - this.settings.retentionMs);
    const runs = await this.repositories.runs.deleteFinishedBefore(before, BATCH);
    const builds = await this.repositories.builds.deleteFinishedBefore(before, BATCH);
    const operations = await this.repositories.operations.deleteFinishedBefore(before, BATCH);
    if (runs + builds + operations > 0) this.logger.info({ runs, builds, operations }, 'deleted what was older than the retention time');
    if (Math.max(runs, builds, operations) < BATCH) this.sweptAt = now;
  }
}
