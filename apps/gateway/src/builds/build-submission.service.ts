import { Inject, Injectable } from '@nestjs/common';
import type { Readable } from 'node:stream';
import type { BuildOptions, BuildParcelBody } from '#contracts';
import { CodedError, newId, type BuildId, type Clock } from '#kernel';
import type { Build, Repositories } from '#persistence';
import type { TenantCaller } from '../auth/caller.js';
import { HomeNodes } from '../nodes/home-nodes.service.js';
import type { TenantHosts } from '../nodes/tenant-host.js';
import { CLOCK, REPOSITORIES, TENANT_HOSTS } from '../platform/platform.js';
import { BuildEnds } from './build-ends.service.js';
import { BuildJobs } from './build-jobs.service.js';
import { prepareBuild, type BuildSource } from './build-request.js';

/** Whose build it is; how that was found out is its caller's. */
export type BuildOwner = Pick<TenantCaller, 'tenant'>;

export interface SubmittedBuild {
  readonly options: BuildOptions;
  readonly source: BuildSource;
  /** The tar, of a source that is one. */
  readonly context?: Readable;
  readonly requestId: string;
  readonly idempotencyKey: string | undefined;
  /** The sender has gone: what it has not sent will not come. */
  readonly signal: AbortSignal;
}

/** Takes builds in: what is to be built goes to the tenant's home node, then the row says that it is wanted, then the job. */
@Injectable()
export class BuildSubmission {
  constructor(
    @Inject(REPOSITORIES) private readonly repositories: Repositories,
    @Inject(TENANT_HOSTS) private readonly hosts: TenantHosts,
    private readonly homes: HomeNodes,
    private readonly jobs: BuildJobs,
    private readonly ends: BuildEnds,
    @Inject(CLOCK) private readonly clock: Clock,
  ) {}

  /**
   * Nothing stays of what is refused. A repeated call with the same Idempotency-Key is given the first build; the tar that comes with it is not looked at.
   * @throws CodedError `invalid_argument`, `conflict`, `quota_exceeded`, `payload_too_large`, `resource_exhausted`, `unavailable`
   */
  async create(caller: BuildOwner, submitted: SubmittedBuild): Promise<Build> {
    const { id: tenantId, limits } = caller.tenant;
    const { idempotencyKey, requestId } = submitted;
    const { spec, parcel, specHash } = prepareBuild(submitted.options, submitted.source);
    const earlier = idempotencyKey === undefined ? undefined : await this.repositories.builds.findByKey(tenantId, idempotencyKey, specHash);
    if (earlier !== undefined) return earlier;
    const maxUnfinished = limits.concurrentBuilds + limits.queuedBuilds;
    // The row decides; but gigabytes need not come first when it is clear already.
    const unfinished = await this.repositories.builds.countUnfinished(tenantId);
    if (unfinished >= maxUnfinished) throw new CodedError('quota_exceeded', `${unfinished} builds of the tenant are not over`, { unfinishedBuilds: unfinished });
    const nodeId = await this.homes.of(tenantId);
    const id = newId('build', this.clock.now());
    try {
      await this.spool(caller, id, parcel, submitted);
      const row = { id, spec, specHash, nodeId, attached: false, requestId, createdAt: new Date(this.clock.now()), idempotencyKey };
      const { build, created } = await this.repositories.builds.create(tenantId, row, { maxUnfinished });
      if (created) await this.enqueue(caller, build);
      else await this.ends.unspool({ id, tenantId });
      return build;
    } catch (error) {
      await this.ends.unspool({ id, tenantId });
      throw error;
    }
  }

  private async spool({ tenant }: BuildOwner, id: BuildId, parcel: BuildParcelBody, { context, signal }: SubmittedBuild): Promise<void> {
    const { builds } = this.hosts.of(tenant);
    await builds.spool(id, parcel);
    if (context !== undefined) await builds.spoolContext(id, context, signal);
  }

  private async enqueue({ tenant }: BuildOwner, build: Build): Promise<void> {
    try {
      await this.jobs.enqueue(build, tenant.limits);
    } catch (error) {
      // The caller hears of it; the reconciler must not do it later all the same.
      await this.ends.fail(build, 'the build could not be queued').catch(() => undefined);
      throw error;
    }
  }
}
