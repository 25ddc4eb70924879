import type { Builder, GitSource, TenantImages } from '#engine';
import type { Clock, Logger, NodeId, TenantId } from '#kernel';
import type { TenantLimits } from '#contracts';
import type { BuildLogStream, NodeEvents } from '#queue';
import type { ActiveJobs } from '../jobs/active-jobs.js';
import type { BuildPlaces } from './build-places.js';
import type { BuildSpool } from './build-spool.js';

/** What builds on this node share, those that are jobs and those that a client listens to. */
export interface BuildServices {
  readonly nodeId: NodeId;
  readonly builder: Pick<Builder, 'build'>;
  readonly git: Pick<GitSource, 'fetch'>;
  readonly images: Pick<TenantImages, 'resolve'>;
  readonly logs: BuildLogStream;
  readonly events: Pick<NodeEvents, 'publish'>;
  readonly spool: BuildSpool;
  readonly places: BuildPlaces;
  readonly active: ActiveJobs<'build'>;
  /** Disk, cgroup and quotas of the tenant, before anything of it is made. */
  readonly prepareTenant: (tenantId: TenantId, limits: TenantLimits) => Promise<void>;
  readonly clock: Clock;
  readonly logger: Logger;
}
