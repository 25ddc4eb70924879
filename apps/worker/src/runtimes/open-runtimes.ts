import type { EngineConfig } from '#config';
import { systemClock, type Logger, type NodeId } from '#kernel';
import type { NodeRegistry } from '#queue';
import { findAptNetworkOptions, proxyVariables } from '../base-images/debian-sources.js';
import { MinimalDebian } from '../base-images/minimal-debian.js';
import type { HostServices } from '../host/host-services.js';
import type { EngineStores } from './engine-stores.js';
import { NodeRuntimes } from './node-runtimes.js';
import { withPlatformPlace } from './platform-place.js';
import { RuntimeBuilder } from './runtime-builder.js';
import type { DefinedRuntime } from './runtime-catalogue.js';
import { collectRuntimeImages } from './runtime-collection.js';
import { RuntimeConvergence } from './runtime-convergence.js';
import { outdated, RuntimeInstaller } from './runtime-installer.js';
import { RuntimeImages } from './runtime-images.js';
import { RuntimeInstalls } from './runtime-installs.js';

const NEVER = new AbortController().signal;

export interface RuntimesParts {
  readonly config: Pick<EngineConfig, 'dataDir'> & { readonly nodeId: NodeId };
  readonly stores: Pick<EngineStores, 'tenantImages' | 'content' | 'snapshots'>;
  readonly services: Pick<HostServices, 'builder' | 'cgroups' | 'disks' | 'networks' | 'volumes'>;
  readonly nodes: Pick<NodeRegistry, 'list'>;
  readonly logger: Logger;
}

/** Runtimes on a node that works: what it has, what it can install, and how it keeps up with the others. */
export interface WorkingRuntimes {
  readonly installed: NodeRuntimes;
  readonly images: RuntimeImages;
  readonly installs: RuntimeInstalls;
  readonly convergence: RuntimeConvergence;
  /** Once what containers and runs stand on is known: removes what nobody needs, and begins to build anew what is installed in an older form. */
  tidy(): Promise<void>;
}

export async function openRuntimes({ config, stores, services, nodes, logger }: RuntimesParts): Promise<WorkingRuntimes> {
  const { dataDir, nodeId } = config;
  const { tenantImages: images, content, snapshots } = stores;
  const installed = await NodeRuntimes.open(dataDir, snapshots, logger);
  const builderFor = async (signal: AbortSignal): Promise<RuntimeBuilder> => {
    const { suite } = await MinimalDebian.find({ dataDir, signal, clock: systemClock });
    return new RuntimeBuilder({ builder: services.builder, images, content, suite, proxies: proxyVariables(await findAptNetworkOptions()) });
  };
  const install = async (runtime: DefinedRuntime, report: (percent: number, message: string) => void, signal: AbortSignal): Promise<void> => {
    const installer = new RuntimeInstaller({ dataDir, catalogue: installed.catalogue, snapshots, builder: await builderFor(signal) });
    await withPlatformPlace(services, () => installer.install(runtime, report, signal));
  };
  const collect = async (): Promise<void> => {
    const gone = await collectRuntimeImages(images, installed.names);
    if (gone > 0) logger.info({ images: gone }, 'runtimes: removed what builds have left');
  };
  const installs = new RuntimeInstalls({ runtimes: installed, install, logger });
  return {
    installed,
    images: new RuntimeImages(installed, images, content),
    installs,
    convergence: new RuntimeConvergence({ nodeId, nodes, runtimes: installed, installs, logger }),
    tidy: async () => {
      await installs.inTurn(collect);
      const base = await (await builderFor(NEVER)).base();
      // Runs may stand on what these take the place of: it goes with the next start.
      for (const runtime of await outdated(dataDir, installed.catalogue, base.id, snapshots)) installs.renew(runtime);
    },
  };
}
