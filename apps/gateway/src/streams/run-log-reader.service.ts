import { Inject, Injectable } from '@nestjs/common';
import { isFinalRunState, type LogFrame } from '#contracts';
import type { RunId } from '#kernel';
import type { Repositories, Run } from '#persistence';
import type { RunLogStream } from '#queue';
import type { TenantCaller } from '../auth/caller.js';
import { REPOSITORIES, RUN_LOG_STREAM } from '../platform/platform.js';
import { RunsService } from '../runs/runs.service.js';
import { LogReader, type FrameSource, type LogSubject, type ReadOptions } from './log-reader.js';

/** Logs of runs. */
@Injectable()
export class RunLogReader {
  private readonly reader: LogReader<RunId, LogFrame>;

  constructor(
    @Inject(REPOSITORIES) private readonly repositories: Repositories,
    @Inject(RUN_LOG_STREAM) logs: RunLogStream,
    private readonly runs: RunsService,
  ) {
    this.reader = new LogReader(logs);
  }

  /** @throws CodedError `not_found`, and as `LogReader.open` */
  async open(caller: TenantCaller, id: string, options: ReadOptions): Promise<FrameSource> {
    return this.reader.open(this.subject(await this.runs.find(caller, id)), options);
  }

  private subject({ id, tenantId, state }: Run): LogSubject<RunId, LogFrame> {
    const { runs, runLogs } = this.repositories;
    return {
      id,
      name: 'run',
      isFinal: () => isFinalRunState(state),
      isOver: async () => {
        const row = await runs.find(tenantId, id);
        return row === undefined || isFinalRunState(row.state);
      },
      saved: () => runLogs.load(tenantId, id),
    };
  }
}
