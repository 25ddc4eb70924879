import type { OperationJob, OperationOutcome, OperationProgress, ProgressLine } from '#contracts';
import type { ImageTransfers, RegistryAuth, TransferProgress } from '#engine';
import { asError, CodedError, isCodedError, isErrorCode, isId, parseReference, withDefaultTag, type Clock, type Logger, type NodeId, type OperationId } from '#kernel';
import type { NodeEvents, OperationProgressStream, SealedAuth } from '#queue';
import type { ImageQuotas } from '../host/image-quotas.js';
import type { ActiveJobs } from '../jobs/active-jobs.js';
import { ProgressPump } from './progress-pump.js';

const MAX_MESSAGE = 4096;

export interface OperationServices {
  readonly nodeId: NodeId;
  readonly transfers: Pick<ImageTransfers, 'pull' | 'push'>;
  readonly quotas: Pick<ImageQuotas, 'remember'>;
  readonly progress: OperationProgressStream;
  readonly events: Pick<NodeEvents, 'publish'>;
  readonly sealed: SealedAuth;
  readonly active: ActiveJobs<'operation'>;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** Takes a job to the reported end of its operation. Killed anywhere, the job comes again: what was fetched is there, what was reported is reported twice. */
export class OperationProcessor {
  constructor(private readonly services: OperationServices) {}

  /** @throws to have the job come again: the node shuts down or has lost it */
  async process(job: OperationJob, signal: AbortSignal): Promise<void> {
    const { progress, active, logger, clock } = this.services;
    const { operationId: id, tenantId } = job;
    if (!isId('operation', id) || !isId('tenant', tenantId)) throw new CodedError('invalid_argument', 'a job without valid ids');
    const earlier = await progress.last(id);
    if (earlier?.end === true) {
      await this.report(job, outcomeOf(earlier));
      return;
    }
    const cancelling = active.add(id);
    // The lock on it was lost, and the one who has it still winds up.
    if (cancelling === undefined) throw new CodedError('unavailable', 'the operation is in hand already');
    if (job.imageBytes !== undefined) this.services.quotas.remember(tenantId, job.imageBytes);
    const began = clock.monotonicMs();
    try {
      await this.publish({ type: 'operation.started', ...this.event(job) });
      const outcome = await this.execute(job, id, signal, cancelling.signal);
      await progress.append(id, [endLine(outcome)], { end: true });
      await this.report(job, outcome);
      logger.info({ operationId: id, tenantId, requestId: job.requestId, kind: job.kind, state: outcome.state, code: outcome.error?.code, ms: Math.round(clock.monotonicMs() - began) }, 'operation');
    } finally {
      active.remove(id);
    }
  }

  private async execute(job: OperationJob, id: OperationId, lost: AbortSignal, cancelled: AbortSignal): Promise<OperationOutcome> {
    const pump = new ProgressPump((lines) => this.services.progress.append(id, lines));
    let outcome: OperationOutcome;
    try {
      const result = await this.transfer(job, id, AbortSignal.any([lost, cancelled]), (line) => {
        pump.say(lineOf(line));
      });
      outcome = { state: 'succeeded', result, error: null };
    } catch (error) {
      if (cancelled.aborted) outcome = { state: 'cancelled', result: null, error: { code: 'cancelled', message: 'the operation was cancelled' } };
      else if (lost.aborted) throw new CodedError('unavailable', 'the node gives the operation up', {}, { cause: error });
      else outcome = { state: 'failed', result: null, error: this.errorOf(error, id) };
    }
    await pump.flush();
    return outcome;
  }

  private async transfer(job: OperationJob, id: OperationId, signal: AbortSignal, onProgress: (progress: TransferProgress) => void): Promise<Record<string, unknown>> {
    const { transfers, sealed } = this.services;
    const auth = job.sealedAuth === undefined ? {} : { auth: sealed.open(id, job.sealedAuth) as RegistryAuth };
    const request = { namespace: job.tenantId, reference: withDefaultTag(parseReference(job.reference)), ...auth, signal, onProgress };
    if (job.kind === 'image.push') return { ...(await transfers.push(request)) };
    const platform = job.platform === undefined ? {} : { platform: { os: job.platform.os, architecture: job.platform.architecture, ...(job.platform.variant === undefined ? {} : { variant: job.platform.variant }) } };
    return { ...(await transfers.pull({ ...request, ...platform })) };
  }

  private errorOf(error: unknown, operationId: OperationId): NonNullable<OperationOutcome['error']> {
    if (isCodedError(error)) return { code: error.code, message: error.message.slice(0, MAX_MESSAGE) };
    this.services.logger.error({ err: asError(error), operationId }, 'an operation failed');
    return { code: 'internal', message: 'internal error' };
  }

  private async report(job: OperationJob, outcome: OperationOutcome): Promise<void> {
    await this.publish({ type: 'operation.finished', ...this.event(job), outcome });
  }

  private publish(event: Parameters<NodeEvents['publish']>[0]): Promise<void> {
    return this.services.events.publish(event);
  }

  private event({ operationId, tenantId }: OperationJob) {
    return { operationId, tenantId, nodeId: this.services.nodeId, time: this.services.clock.now() };
  }
}

function lineOf({ id, status, current, total }: TransferProgress): ProgressLine {
  return { status, ...(id === undefined ? {} : { id }), ...(current === undefined ? {} : { current: Math.trunc(current) }), ...(total === undefined ? {} : { total: Math.trunc(total) }) };
}

function endLine({ result, error }: OperationOutcome): ProgressLine {
  return error === null ? { aux: result ?? {} } : { error };
}

/** What an earlier life of the node had come to before it could say so. */
function outcomeOf({ error, aux }: OperationProgress): OperationOutcome {
  if (error === undefined) return { state: 'succeeded', result: aux ?? {}, error: null };
  const code = isErrorCode(error.code) ? error.code : 'internal';
  return { state: code === 'cancelled' ? 'cancelled' : 'failed', result: null, error: { code, message: error.message } };
}
