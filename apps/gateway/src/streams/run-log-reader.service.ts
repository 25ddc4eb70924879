import { Inject, Injectable } from '@nestjs/common';
import { isFinalRunState, type LogFrame } from '#contracts';
import { CodedError } from '#kernel';
import type { Repositories, Run } from '#persistence';
import type { RunLogStream } from '#queue';
import type { TenantCaller } from '../auth/caller.js';
import { pause } from '../platform/deadline.js';
import { REPOSITORIES, RUN_LOG_STREAM } from '../platform/platform.js';
import { RunsService } from '../runs/runs.service.js';

const RETRY_MS = 250;

export interface ReadOptions {
  /** The reader has every frame up to this one. */
  readonly after: number;
  /** False: what is there now, then the end, be the run over or not. */
  readonly follow: boolean;
}

export type FrameSource = (signal: AbortSignal) => AsyncIterable<LogFrame>;

/** Reads logs wherever they are: in Redis while the run goes on and some time after, in PostgreSQL for good. */
@Injectable()
export class RunLogReader {
  constructor(
    @Inject(REPOSITORIES) private readonly repositories: Repositories,
    @Inject(RUN_LOG_STREAM) private readonly logs: RunLogStream,
    private readonly runs: RunsService,
  ) {}

  /**
   * Checks first, so that a refusal can still be an answer. The frames end with the end frame (whatever `after` says: it is how a
   * reader knows that it has all) or when the signal fires.
   * @throws CodedError `not_found`, `gone` (neither Redis nor PostgreSQL has the log)
   */
  async open(caller: TenantCaller, id: string, options: ReadOptions): Promise<FrameSource> {
    const run = await this.runs.find(caller, id);
    const last = await this.logs.last(run.id);
    if (last === undefined && isFinalRunState(run.state)) {
      const saved = await this.saved(run, options.after);
      return () => replay(saved);
    }
    if (!options.follow || (last?.ended === true && last.seq <= options.after)) {
      const frames = afterOrEnd(await this.logs.readAll(run.id), options.after);
      return () => replay(frames);
    }
    return (signal) => this.follow(run, options.after, signal);
  }

  private async *follow(run: Run, after: number, signal: AbortSignal): AsyncGenerator<LogFrame> {
    let position = after;
    while (!signal.aborted) {
      for await (const frame of this.logs.follow(run.id, position, signal)) {
        yield frame;
        if (frame.type === 'end') return;
        position = frame.seq;
      }
      // The stream went while we read it: it expired after it was saved, or Redis lost it and the run goes on.
      const row = await this.repositories.runs.find(run.tenantId, run.id);
      if (row === undefined || isFinalRunState(row.state)) {
        yield* await this.saved(run, position);
        return;
      }
      await pause(RETRY_MS, signal);
    }
  }

  private async saved(run: Run, after: number): Promise<LogFrame[]> {
    const frames = await this.repositories.runLogs.load(run.tenantId, run.id);
    if (frames === undefined) throw new CodedError('gone', 'the log of this run is no longer there');
    return afterOrEnd(frames, after);
  }
}

/** The frames that the reader has not; always the end frame, when there is one. */
export function afterOrEnd(frames: readonly LogFrame[], after: number): LogFrame[] {
  return frames.filter((frame) => frame.seq > after || frame.type === 'end');
}

// eslint-disable-next-line @typescript-eslint/require-await -- an async iterable of what is at hand
async function* replay(frames: readonly LogFrame[]): AsyncGenerator<LogFrame> {
  yield* frames;
}
