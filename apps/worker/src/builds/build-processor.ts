import { parseBuildCheckpoint, type BuildJob, type BuildOutcome } from '#contracts';
import { CodedError, isId, type BuildId, type TenantId } from '#kernel';
import { BuildContext } from './build-context.js';
import { BuildExecution } from './build-execution.js';
import { BuildRecorder } from './build-recorder.js';
import { engineRequest } from './build-request.js';
import type { BuildServices } from './build-services.js';

/** A build under which the worker has died so often is not tried again: it may be what kills it. */
const MAX_DEATHS = 3;

/** Takes a job to the reported end of its build. Killed anywhere, the job comes again: what was built is in the cache, the log goes on, what was reported is reported twice. */
export class BuildProcessor {
  private readonly execution: BuildExecution;

  constructor(private readonly services: BuildServices) {
    this.execution = new BuildExecution(services);
  }

  /** Of `NodeJobConsumer.start`: builds that a client listens to take places of the same share. */
  room({ tenantId, tenantLimits }: BuildJob): boolean {
    return this.services.places.free(tenantId as TenantId, tenantLimits.concurrentBuilds);
  }

  /** @throws to have the job come again: the node shuts down or has lost it */
  async process(job: BuildJob, lost: AbortSignal): Promise<void> {
    const { buildId: id, tenantId, tenantLimits } = job;
    if (!isId('build', id) || !isId('tenant', tenantId)) throw new CodedError('invalid_argument', 'a job without valid ids');
    const leave = this.services.places.take(tenantId, tenantLimits.concurrentBuilds);
    if (leave === undefined) throw new CodedError('unavailable', 'the tenant has as many builds in hand as it may');
    const cancelling = this.services.active.add(id);
    try {
      // The lock on it was lost, and the one who has it still winds up.
      if (cancelling === undefined) throw new CodedError('unavailable', 'the build is in hand already');
      await this.carryOut(job, { id, tenantId }, cancelling.signal, lost);
    } finally {
      if (cancelling !== undefined) this.services.active.remove(id);
      leave();
    }
  }

  private async carryOut(job: BuildJob, { id, tenantId }: { id: BuildId; tenantId: TenantId }, cancelled: AbortSignal, lost: AbortSignal): Promise<void> {
    const { logs, spool, clock, logger } = this.services;
    const began = clock.monotonicMs();
    const earlier = await logs.last(id);
    let outcome = earlier?.ended === true && earlier.checkpoint !== undefined ? parseBuildCheckpoint(earlier.checkpoint)?.outcome : undefined;
    if (outcome === undefined) {
      await this.publish(job, { type: 'build.started' });
      const recorder = new BuildRecorder({ logs, id, clock }, earlier);
      outcome = await this.attempt(job, { id, tenantId }, recorder, cancelled, lost);
      logger.info({ buildId: id, tenantId, requestId: job.requestId, state: outcome.state, code: outcome.error?.code, attempt: recorder.attempt, ms: Math.round(clock.monotonicMs() - began) }, 'build');
    }
    await this.publish(job, { type: 'build.finished', outcome });
    await spool.remove(tenantId, id);
  }

  private async attempt(job: BuildJob, { id, tenantId }: { id: BuildId; tenantId: TenantId }, recorder: BuildRecorder, cancelled: AbortSignal, lost: AbortSignal): Promise<BuildOutcome> {
    if (recorder.deaths >= MAX_DEATHS) return recorder.end({ state: 'lost', imageId: null, digest: null, error: { code: 'unavailable', message: 'the node died under the build again and again' } });
    const { spool, git, prepareTenant } = this.services;
    const source = async (signal: AbortSignal) => {
      await prepareTenant(tenantId, job.tenantLimits);
      const parcel = await spool.parcel(tenantId, id);
      const context = new BuildContext({ spool, git, fetched: (commit) => { recorder.fetched(commit); } }, { tenantId, id });
      return { request: engineRequest(parcel.request, parcel.registries, parcel.secrets), context: context.of(parcel, signal) };
    };
    const { outcome } = await this.execution.run({ id, tenantId, limits: job.tenantLimits, recorder, source, cancelled, lost });
    return outcome;
  }

  private async publish({ buildId, tenantId }: BuildJob, what: { readonly type: 'build.started' } | { readonly type: 'build.finished'; readonly outcome: BuildOutcome }): Promise<void> {
    const { events, nodeId, clock } = this.services;
    await events.publish({ ...what, buildId, tenantId, nodeId, time: clock.now() });
  }
}
