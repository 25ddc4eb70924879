import { Inject, Injectable } from '@nestjs/common';
import type { EndFrame, LogFrame, OutputFrame, RunOutcome, StepResult } from '#contracts';
import { isCodedError, type Logger } from '#kernel';
import type { Repositories, Run } from '#persistence';
import type { RunLogStream } from '#queue';
import { LOGGER, REPOSITORIES, RUN_LOG_STREAM, SETTINGS } from '../platform/platform.js';
import type { GatewaySettings } from '../platform/settings.js';

/** Moves the logs of finished runs from Redis to PostgreSQL. */
@Injectable()
export class RunLogArchive {
  constructor(
    @Inject(REPOSITORIES) private readonly repositories: Repositories,
    @Inject(RUN_LOG_STREAM) private readonly logs: RunLogStream,
    @Inject(SETTINGS) private readonly settings: GatewaySettings,
    @Inject(LOGGER) private readonly logger: Logger,
  ) {}

  /** Idempotent. The run is final; its log gets its end frame here when no node wrote one. */
  async archive(run: Run): Promise<void> {
    const saved = await this.repositories.runLogs.load(run.tenantId, run.id);
    if (saved === undefined) {
      const frames = await this.completed(run);
      try {
        await this.repositories.runLogs.save(run.tenantId, run.id, frames);
      } catch (error) {
        // Deleted in between (retention, its tenant): its log goes with it.
        if (!isCodedError(error, 'not_found')) throw error;
        await this.logs.delete(run.id);
        return;
      }
    }
    await this.logs.expire(run.id, this.settings.logGraceSeconds);
  }

  private async completed(run: Run): Promise<LogFrame[]> {
    try {
      const last = await this.logs.last(run.id);
      if (last?.ended !== true) {
        const missing = last === undefined ? outputFramesOf(run.outcome, timeOf(run)) : [];
        await this.logs.append(run.id, [...missing, endFrameOf(run, (last?.seq ?? missing.length) + 1)]);
      }
      return await this.logs.readAll(run.id);
    } catch (error) {
      if (!isCodedError(error, 'protocol_violation')) throw error;
      return this.fromResult(run, error);
    }
  }

  /** Its node wrote entries that are no frames. They would be as wrong the next time: what the result holds takes their place. */
  private async fromResult(run: Run, cause: Error): Promise<LogFrame[]> {
    this.logger.error({ err: cause, runId: run.id, tenantId: run.tenantId, nodeId: run.nodeId }, 'the log of a run is malformed and made anew from its result');
    await this.logs.delete(run.id);
    const output = outputFramesOf(run.outcome, timeOf(run));
    return [...output, endFrameOf(run, output.length + 1)];
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
