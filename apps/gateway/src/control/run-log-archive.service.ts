import { Inject, Injectable } from '@nestjs/common';
import type { EndFrame, OutputFrame, RunOutcome, StepResult } from '#contracts';
import type { Logger } from '#kernel';
import type { Repositories, Run } from '#persistence';
import type { RunLogStream } from '#queue';
import { LOGGER, REPOSITORIES, RUN_LOG_STREAM, SETTINGS } from '../platform/platform.js';
import type { GatewaySettings } from '../platform/settings.js';
import { LogArchive } from './log-archive.js';

/** Moves the logs of finished runs from Redis to PostgreSQL. */
@Injectable()
export class RunLogArchive {
  private readonly logArchive: LogArchive<Run, Run['id'], EndFrame | OutputFrame>;

  constructor(@Inject(REPOSITORIES) repositories: Repositories, @Inject(RUN_LOG_STREAM) logs: RunLogStream, @Inject(SETTINGS) settings: GatewaySettings, @Inject(LOGGER) logger: Logger) {
    this.logArchive = new LogArchive({
      logs,
      saved: { load: (tenantId, id) => repositories.runLogs.load(tenantId, id), save: (tenantId, id, frames) => repositories.runLogs.save(tenantId, id, frames) },
      framesOf: (run) => outputFramesOf(run.outcome, timeOf(run)),
      endOf: endFrameOf,
      graceSeconds: settings.logGraceSeconds,
      logger,
    });
  }

  /** Idempotent. The run is final; its log gets its end frame here when no node wrote one. */
  archive(run: Run): Promise<void> {
    return this.logArchive.archive(run);
  }
}

/** What a final row says, as the last frame of its log. */
export function endFrameOf(run: Run, seq: number): EndFrame {
  const decisive = run.outcome?.run ?? run.outcome?.compile ?? null;
  return { seq, type: 'end', state: run.state, exitCode: decisive?.exitCode ?? null, signal: decisive?.signal ?? null, time: timeOf(run) };
}

/** The output of a run whose stream Redis has lost, as far as its result holds it: in whole streams, not as it was interleaved. */
export function outputFramesOf(outcome: RunOutcome | null, time: number): OutputFrame[] {
  const frames: OutputFrame[] = [];
  const add = (step: OutputFrame['step'], result: StepResult | null): void => {
    for (const stream of ['stdout', 'stderr'] as const) {
      if (result === null || result[stream] === '') continue;
      frames.push({ seq: frames.length + 1, type: 'output', step, stream, data: result[stream], encoding: result.encoding, time });
    }
  };
  add('compile', outcome?.compile ?? null);
  add('run', outcome?.run ?? null);
  return frames;
}

function timeOf(run: Run): number {
  return (run.finishedAt ?? run.createdAt).getTime();
}
