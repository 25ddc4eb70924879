import { Inject, Injectable } from '@nestjs/common';
import type { BuildEndFrame, BuildFrame, BuildOutcome } from '#contracts';
import type { BuildId, Logger, TenantId } from '#kernel';
import type { Build, Repositories } from '#persistence';
import type { BuildLogStream } from '#queue';
import { BUILD_LOG_STREAM, LOGGER, REPOSITORIES, SETTINGS } from '../platform/platform.js';
import type { GatewaySettings } from '../platform/settings.js';
import { LogArchive } from './log-archive.js';

/** Makes builds final: the row, then the end of their log for those who follow it, then the log for good. */
@Injectable()
export class BuildFinisher {
  private readonly archive: LogArchive<Build, BuildId, BuildFrame>;

  constructor(
    @Inject(REPOSITORIES) private readonly repositories: Repositories,
    @Inject(BUILD_LOG_STREAM) private readonly logs: BuildLogStream,
    @Inject(SETTINGS) settings: GatewaySettings,
    @Inject(LOGGER) logger: Logger,
  ) {
    const { buildLogs } = repositories;
    this.archive = new LogArchive({ logs, saved: buildLogs, framesOf: () => [], endOf: endFrameOf, graceSeconds: settings.logGraceSeconds, logger });
  }

  /** Idempotent. The row's first end stays, and so does the log's. */
  async finish(tenantId: TenantId, id: BuildId, at: Date, outcome: BuildOutcome): Promise<void> {
    await this.repositories.builds.markFinished(tenantId, id, at, outcome);
    const build = await this.repositories.builds.find(tenantId, id);
    // Only what belongs to a row has a log.
    if (build === undefined) await this.logs.delete(id);
    else await this.archive.archive(build);
  }
}

/** What a final row says, as the last frame of its log. */
export function endFrameOf({ state, outcome, finishedAt, createdAt }: Build, seq: number): BuildEndFrame {
  return { seq, type: 'end', state, imageId: outcome?.imageId ?? null, error: outcome?.error ?? null, time: (finishedAt ?? createdAt).getTime() };
}
