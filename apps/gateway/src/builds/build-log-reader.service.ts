import { Inject, Injectable } from '@nestjs/common';
import type { BuildFrame } from '#contracts';
import type { BuildId } from '#kernel';
import type { Build, Repositories } from '#persistence';
import type { BuildLogStream } from '#queue';
import type { TenantCaller } from '../auth/caller.js';
import { BUILD_LOG_STREAM, REPOSITORIES } from '../platform/platform.js';
import { LogReader, type FrameSource, type LogSubject, type ReadOptions } from '../streams/log-reader.js';
import { BuildsService } from './builds.service.js';

/** Logs of builds. */
@Injectable()
export class BuildLogReader {
  private readonly reader: LogReader<BuildId, BuildFrame>;

  constructor(
    @Inject(REPOSITORIES) private readonly repositories: Repositories,
    @Inject(BUILD_LOG_STREAM) logs: BuildLogStream,
    private readonly builds: BuildsService,
  ) {
    this.reader = new LogReader(logs);
  }

  /** @throws CodedError `not_found`, and as `LogReader.open` */
  async open(caller: TenantCaller, id: string, options: ReadOptions): Promise<FrameSource> {
    return this.reader.open(this.subject(await this.builds.find(caller, id)), options);
  }

  private subject({ id, tenantId, finishedAt }: Build): LogSubject<BuildId, BuildFrame> {
    const { builds, buildLogs } = this.repositories;
    return {
      id,
      name: 'build',
      isFinal: () => finishedAt !== null,
      isOver: async () => (await builds.find(tenantId, id))?.finishedAt !== null,
      saved: () => buildLogs.load(tenantId, id),
    };
  }
}
