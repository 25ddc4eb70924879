import { join } from 'node:path';
import {
  connectAgent,
  createCgroupManager,
  createSandboxRuntime,
  crunRuntime,
  HelperSpawner,
  runcRuntime,
  type CgroupManager,
  type SandboxRuntime,
  type Snapshotter,
  type Spawner,
} from '#engine';
import type { Logger } from '#kernel';

export interface EngineOptions {
  readonly dataDir: string;
  readonly cgroupRoot: string;
  readonly ociRuntime: 'crun' | 'runc';
  /** Where `sandbar-init` and `sandbar-spawner` are. */
  readonly nativeDir: string;
  readonly snapshots: Pick<Snapshotter, 'rootfs'>;
  readonly logger: Logger;
}

/** The parts of the engine that runs need, and its helper for what else is started. */
export interface Engine {
  readonly runtime: SandboxRuntime;
  readonly cgroups: CgroupManager;
  readonly spawner: Spawner;
  /** Sandboxes live on; the helper ends. */
  close(): Promise<void>;
}

/** Chooses the driver of each component. `runtime.recover()` is the caller's next step. */
export async function openEngine(options: EngineOptions): Promise<Engine> {
  const { dataDir, nativeDir, snapshots, logger } = options;
  const cgroups = await createCgroupManager({ root: options.cgroupRoot });
  const spawner = new HelperSpawner({ program: join(nativeDir, 'sandbar-spawner'), logger });
  const runtime = createSandboxRuntime({
    root: join(dataDir, 'engine'),
    snapshots,
    cgroups,
    spawner,
    ociRuntime: options.ociRuntime === 'crun' ? crunRuntime() : runcRuntime(),
    agentBinary: join(nativeDir, 'sandbar-init'),
    connectAgent,
    logger,
  });
  return {
    runtime,
    cgroups,
    spawner,
    close: async () => {
      await runtime.close();
      await spawner.close();
    },
  };
}
