import { Inject, Injectable } from '@nestjs/common';
import type { Clock, Logger } from '#kernel';
import type { Repositories } from '#persistence';
import { CLOCK, LOGGER, REPOSITORIES, SETTINGS } from '../platform/platform.js';
import type { GatewaySettings } from '../platform/settings.js';

const INTERVAL_MS = 60_000;
const BATCH = 500;

/** Deletes finished runs when they are older than the operator keeps them. */
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
    const deleted = await this.repositories.runs.deleteFinishedBefore(new Date(now - this.settings.retentionMs), BATCH);
    if (deleted > 0) this.logger.info({ deleted }, 'deleted runs that were older than the retention time');
    if (deleted < BATCH) this.sweptAt = now;
  }
}
