import type { BuildError, BuildOutcome, TenantLimits } from '#contracts';
import type { BuildEvent, BuildRequest } from '#engine';
import { asError, CodedError, isCodedError, type BuildId, type TenantId } from '#kernel';
import type { BuildRecorder } from './build-recorder.js';
import type { BuildServices } from './build-services.js';

const MAX_MESSAGE = 4096;

export interface BuildWork {
  readonly id: BuildId;
  readonly tenantId: TenantId;
  readonly limits: Pick<TenantLimits, 'buildTimeMs'>;
  readonly recorder: BuildRecorder;
  /** What is to be built, when its turn has come: the time limit counts from there. */
  readonly source: (signal: AbortSignal) => Promise<{ readonly request: BuildRequest; readonly context: AsyncIterable<Uint8Array> }>;
  /** Hears each event too; who is slow slows the build down. */
  readonly tee?: (event: BuildEvent) => Promise<void>;
  /** Somebody wants it ended. */
  readonly cancelled: AbortSignal;
  /** It is another's from now on, or comes again: nothing of it is told any more. */
  readonly lost?: AbortSignal;
}

/** How a build ended, and what it threw where somebody wants that in its own words. */
export interface BuildEnd {
  readonly outcome: BuildOutcome;
  readonly error: unknown;
}

/** Carries a build out within its time, and tells its log everything up to the end. */
export class BuildExecution {
  constructor(private readonly services: Pick<BuildServices, 'builder' | 'images' | 'clock' | 'logger'>) {}

  /** @throws CodedError `unavailable` when it is lost; what the log threw */
  async run(work: BuildWork): Promise<BuildEnd> {
    const late = new AbortController();
    let timer: NodeJS.Timeout | undefined;
    const signal = AbortSignal.any([work.cancelled, late.signal, ...(work.lost === undefined ? [] : [work.lost])]);
    try {
      const what = await work.source(signal);
      work.recorder.begin();
      if (work.lost !== undefined) await work.recorder.save();
      timer = setTimeout(() => { late.abort(); }, Math.max(0, work.recorder.startedAt + work.limits.buildTimeMs - this.services.clock.now()));
      const { imageId, digest } = await this.build(work, what, signal);
      return { outcome: await work.recorder.end({ state: 'succeeded', imageId, digest, error: null }), error: undefined };
    } catch (error) {
      if (work.lost?.aborted === true) {
        await work.recorder.release();
        throw new CodedError('unavailable', 'the node gives the build up', {}, { cause: error });
      }
      return { outcome: await work.recorder.end(this.failure(error, work, late.signal)), error };
    } finally {
      clearTimeout(timer);
    }
  }

  private async build({ tenantId, recorder, tee }: BuildWork, { request, context }: Awaited<ReturnType<BuildWork['source']>>, signal: AbortSignal): Promise<{ imageId: string; digest: string }> {
    const report = async (event: BuildEvent): Promise<void> => {
      await Promise.all([recorder.report(event), tee?.(event)]);
    };
    const { imageId } = await this.services.builder.build(tenantId, request, context, report, signal);
    const { manifest } = await this.services.images.resolve(tenantId, imageId);
    return { imageId, digest: manifest };
  }

  private failure(error: unknown, { id, tenantId, limits, recorder, cancelled }: BuildWork, late: AbortSignal): Pick<BuildOutcome, 'state' | 'imageId' | 'digest' | 'error'> {
    const nothing = { imageId: null, digest: null };
    if (cancelled.aborted) return { ...nothing, state: 'cancelled', error: { code: 'cancelled', message: 'the build was cancelled' } };
    if (late.aborted) return { ...nothing, state: 'timed_out', error: { code: 'deadline_exceeded', message: `the build took more than ${limits.buildTimeMs / 1000} s` } };
    if (isCodedError(error) && error.code !== 'internal') return { ...nothing, state: 'failed', error: errorOf(error, recorder.failedLine) };
    this.services.logger.error({ err: asError(error), buildId: id, tenantId }, 'a build failed');
    return { ...nothing, state: 'internal_error', error: { code: 'internal', message: 'internal error' } };
  }
}

function errorOf({ code, message, details }: CodedError, failedLine: number | undefined): BuildError {
  const { line = failedLine, column, exitCode } = details;
  return {
    code,
    message: message.slice(0, MAX_MESSAGE).toWellFormed(),
    ...(typeof line === 'number' ? { line } : {}),
    ...(typeof column === 'number' ? { column } : {}),
    ...(typeof exitCode === 'number' ? { exitCode } : {}),
  };
}
