import type { BuildOutcome, TenantLimits } from '#contracts';
import type { BuildEvent, BuildRequest } from '#engine';
import { CodedError, type BuildId, type TenantId } from '#kernel';
import { BuildExecution } from './build-execution.js';
import { BuildRecorder } from './build-recorder.js';
import type { BuildServices } from './build-services.js';

export interface AttachedBuild {
  readonly id: BuildId;
  readonly tenantId: TenantId;
  readonly limits: TenantLimits;
  readonly request: BuildRequest;
  readonly context: AsyncIterable<Uint8Array>;
}

/** Builds that a client listens to: it hears each event as it comes, and the build ends with it. They take places of their tenant's share, and are told to a log as others are. */
export class AttachedBuilds {
  private readonly execution: BuildExecution;

  constructor(private readonly services: BuildServices) {
    this.execution = new BuildExecution(services);
  }

  /** Its row is `running` from the start, so its end alone is reported. @throws CodedError what the build failed by, `cancelled`, `deadline_exceeded`, `resource_exhausted` */
  async run({ id, tenantId, limits, request, context }: AttachedBuild, tee: (event: BuildEvent) => Promise<void>, signal: AbortSignal): Promise<void> {
    const { active, logs, places, clock } = this.services;
    const cancelling = active.add(id);
    if (cancelling === undefined) throw new CodedError('already_exists', 'the build is in hand already');
    const cancelled = AbortSignal.any([signal, cancelling.signal]);
    let leave: (() => void) | undefined;
    const source = async () => {
      leave = await places.wait(tenantId, limits.concurrentBuilds, cancelled);
      return { request, context };
    };
    try {
      const recorder = new BuildRecorder({ logs, id, clock }, undefined);
      const { outcome, error } = await this.execution.run({ id, tenantId, limits, recorder, source, tee, cancelled });
      await this.report(id, tenantId, outcome);
      if (outcome.state === 'timed_out') throw new CodedError('deadline_exceeded', outcome.error?.message ?? '');
      if (outcome.state !== 'succeeded') throw error;
    } finally {
      leave?.();
      active.remove(id);
    }
  }

  private async report(buildId: BuildId, tenantId: TenantId, outcome: BuildOutcome): Promise<void> {
    const { events, nodeId, clock } = this.services;
    await events.publish({ type: 'build.finished', buildId, tenantId, nodeId, time: clock.now(), outcome });
  }
}
