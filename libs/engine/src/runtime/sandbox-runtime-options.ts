import type { Logger } from '#kernel';
import type { CgroupManager } from '../cgroups/index.js';
import type { Spawner } from '../linux/index.js';
import type { Snapshotter } from '../snapshots/index.js';
import type { ConnectOptions, GuestAgent } from './agent/agent.js';
import type { OciRuntime } from './oci-runtime.js';

export interface SandboxRuntimeOptions {
  /** The engine's folder, absolute; every folder above it must be traversable by anybody (0711), for the guests' shifted root passes there. */
  readonly root: string;
  readonly snapshots: Pick<Snapshotter, 'rootfs'>;
  readonly cgroups: CgroupManager;
  readonly spawner: Spawner;
  readonly ociRuntime: OciRuntime;
  /** The program `sandbar-init`; copied below `root`. */
  readonly agentBinary: string;
  readonly connectAgent: (options: ConnectOptions) => Promise<GuestAgent>;
  readonly logger: Logger;
}
