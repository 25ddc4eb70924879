import type { Clock, Logger, TenantId } from '#kernel';
import type { TenantDisks } from '../../disks/index.js';
import type { HostEvents } from '../../events/index.js';
import type { TenantImages } from '../../images/index.js';
import type { Networks } from '../../networks/index.js';
import type { SandboxRuntime } from '../../runtime/index.js';
import type { Snapshotter } from '../../snapshots/index.js';
import type { GuestTrees, Trees } from '../../tree/index.js';
import type { Volumes } from '../../volumes/index.js';

/** What containers stand on. All of them have recovered before `recover` of the containers is called. */
export interface TenantContainersOptions {
  /** A folder of its own: records and logs. */
  readonly root: string;
  readonly images: Pick<TenantImages, 'resolve' | 'hold' | 'release' | 'append'>;
  readonly snapshots: Pick<Snapshotter, 'layerDirs' | 'packChanges' | 'packTree' | 'changes'>;
  readonly volumes: Pick<Volumes, 'create' | 'get' | 'remove' | 'hold' | 'release' | 'source' | 'hostPath' | 'dataDir' | 'markFilled'>;
  /** The tenant's disk is there (`ensure`) before its first container is made. */
  readonly disks: Pick<TenantDisks, 'find'>;
  readonly trees: Pick<Trees, 'copyUp' | 'pack' | 'usage' | 'remove'>;
  readonly guestTrees: GuestTrees;
  readonly networks: Pick<Networks, 'get' | 'hostNamespace' | 'attach' | 'connect' | 'disconnect' | 'detach' | 'rename' | 'find'>;
  readonly runtime: Pick<SandboxRuntime, 'create' | 'list' | 'get' | 'features'>;
  readonly events: Pick<HostEvents, 'publish'>;
  /** Before a container starts by its policy: the tenant's own limits are in force, though nobody of it has called yet. */
  readonly prepareTenant?: (tenantId: TenantId) => Promise<void>;
  /** Of a container that asks for none. */
  readonly defaults: ContainerDefaults;
  readonly clock: Clock;
  readonly logger: Logger;
}

export interface ContainerDefaults {
  readonly memoryBytes: number;
  readonly cpuMillis: number;
  readonly pids: number;
  readonly shmBytes: number;
}
