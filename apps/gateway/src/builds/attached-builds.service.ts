import { createHash } from 'node:crypto';
import { Inject, Injectable } from '@nestjs/common';
import type { Readable } from 'node:stream';
import type { BuildEventView, BuildRegistriesBody, BuildRequestBody } from '#contracts';
import { newId, type Clock } from '#kernel';
import type { Build, Repositories } from '#persistence';
import type { TenantCaller } from '../auth/caller.js';
import { HomeNodes } from '../nodes/home-nodes.service.js';
import type { TenantHosts } from '../nodes/tenant-host.js';
import { CLOCK, REPOSITORIES, TENANT_HOSTS } from '../platform/platform.js';

export interface AttachedRequest {
  readonly request: BuildRequestBody;
  readonly registries: BuildRegistriesBody;
  readonly requestId: string;
  /** The client has gone: the build ends. */
  readonly signal: AbortSignal;
}

/** Builds that a client listens to, as Docker's do: no job, but a row, a log, and the tenant's share as for all others. */
@Injectable()
export class AttachedBuilds {
  constructor(
    @Inject(REPOSITORIES) private readonly repositories: Repositories,
    @Inject(TENANT_HOSTS) private readonly hosts: TenantHosts,
    private readonly homes: HomeNodes,
    @Inject(CLOCK) private readonly clock: Clock,
  ) {}

  /**
   * Events until the build ends. The row is written while the context is on its way; nothing is told before it is there.
   * @throws CodedError what the build failed by, `quota_exceeded`
   */
  async *run(caller: TenantCaller, context: Readable, { request, registries, requestId, signal }: AttachedRequest): AsyncGenerator<BuildEventView, void, undefined> {
    const id = newId('build', this.clock.now());
    const refused = new AbortController();
    const recorded = this.record(caller, id, request, requestId);
    recorded.catch(() => { refused.abort(); });
    const events = this.hosts.of(caller.tenant).builds.build(context, { id, request, registries }, AbortSignal.any([signal, refused.signal]));
    try {
      for await (const event of events) {
        await recorded;
        yield event;
      }
    } finally {
      // Why it was refused counts, not that it was ended for it.
      await recorded;
    }
  }

  private async record({ tenant }: TenantCaller, id: Build['id'], request: BuildRequestBody, requestId: string): Promise<void> {
    const { dockerfile = 'Dockerfile', target = null, tags = [], buildArgs = {}, noCache = false, pull = false } = request;
    const nodeId = await this.homes.of(tenant.id);
    const spec = { source: 'docker' as const, git: null, dockerfile, target, tags, buildArgs: Object.keys(buildArgs).sort(), secrets: [], noCache, pull };
    const specHash = createHash('sha256').update(id).digest();
    const { concurrentBuilds, queuedBuilds } = tenant.limits;
    await this.repositories.builds.create(tenant.id, { id, spec, specHash, nodeId, attached: true, requestId, createdAt: new Date(this.clock.now()) }, { maxUnfinished: concurrentBuilds + queuedBuilds });
  }
}
