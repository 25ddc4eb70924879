import type { GitSource } from '#engine';
import type { Clock, Logger, NodeId } from '#kernel';
import type { BuildLogStream, NodeEvents } from '#queue';
import { ensureTenant, type HostServices } from '../host/host-services.js';
import { ActiveJobs } from '../jobs/active-jobs.js';
import { AttachedBuilds } from './attached-builds.js';
import { BuildPlaces } from './build-places.js';
import { BuildProcessor } from './build-processor.js';
import type { BuildServices } from './build-services.js';
import { BuildSpool } from './build-spool.js';

export interface BuildsOptions {
  readonly nodeId: NodeId;
  readonly host: Pick<HostServices, 'builder' | 'images' | 'disks' | 'cgroups' | 'quotas'>;
  readonly git: Pick<GitSource, 'fetch'>;
  readonly logs: BuildLogStream;
  readonly events: Pick<NodeEvents, 'publish'>;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** Builds of this node: from the queue, and while a client listens. */
export interface Builds {
  readonly active: ActiveJobs<'build'>;
  readonly spool: BuildSpool;
  readonly processor: BuildProcessor;
  readonly attached: AttachedBuilds;
}

export function openBuilds({ nodeId, host, git, logs, events, clock, logger }: BuildsOptions): Builds {
  const active = new ActiveJobs('build');
  const spool = new BuildSpool({ disks: host.disks, logger });
  const services: BuildServices = {
    nodeId,
    builder: host.builder,
    git,
    images: host.images,
    logs,
    events,
    spool,
    places: new BuildPlaces(),
    active,
    prepareTenant: async (tenantId, limits) => {
      host.quotas.remember(tenantId, limits.imageBytes);
      await ensureTenant(host, tenantId, limits);
    },
    clock,
    logger,
  };
  return { active, spool, processor: new BuildProcessor(services), attached: new AttachedBuilds(services) };
}
