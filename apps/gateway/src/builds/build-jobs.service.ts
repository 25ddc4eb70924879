import { Inject, Injectable } from '@nestjs/common';
import type { TenantLimits } from '#contracts';
import type { Build } from '#persistence';
import type { BuildQueue, NodeRegistry } from '#queue';
import { NodeJobs } from '../nodes/node-jobs.service.js';
import { BUILD_QUEUE, NODE_REGISTRY } from '../platform/platform.js';
import { BuildEnds } from './build-ends.service.js';

/** The job behind a build's row: put into its node's queue, taken out of it, ended where it is executed. */
@Injectable()
export class BuildJobs {
  constructor(
    @Inject(BUILD_QUEUE) private readonly queue: BuildQueue,
    @Inject(NODE_REGISTRY) private readonly registry: NodeRegistry,
    private readonly nodes: NodeJobs,
    private readonly ends: BuildEnds,
  ) {}

  /** Idempotent. */
  async enqueue({ id, tenantId, requestId, nodeId }: Build, tenantLimits: TenantLimits): Promise<void> {
    await this.queue.enqueue(nodeId, { buildId: id, tenantId, requestId, tenantLimits });
  }

  /** Whether it waits or is worked on, as far as anybody says so. */
  async has({ id, nodeId, attached }: Build): Promise<boolean> {
    if (!attached) return this.queue.has(nodeId, id);
    return (await this.registry.get(nodeId))?.buildIds?.includes(id) === true;
  }

  /** The wish is in the row. Also the reconciler's: repeats a cancel that its node did not hear. */
  async cancel(build: Build): Promise<void> {
    if (!build.attached && (await this.queue.remove(build.nodeId, build.id))) await this.ends.cancelled(build);
    else await this.nodes.cancel('builds', build.nodeId, build.id);
  }
}
