import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import type { WorkerConfig } from '#config';
import { DockerfileBuilder, type GitSource, HelperDialer, HttpGitSource, type HostEvents, LinuxNetworks, LoopDisks, RegistryTransfers, TarImageArchives, TenantContainerPorts, TenantContainers, TenantVolumes, UrlFetcher } from '#engine';
import { systemClock, type Logger, type TenantId } from '#kernel';
import type { Engine } from '../engine/open-engine.js';
import { TenantCgroups } from '../engine/tenant-cgroups.js';
import type { EngineStores } from '../runtimes/engine-stores.js';
import { ExecDeadlines } from './exec-deadlines.js';
import type { HostServices } from './host-services.js';
import type { ImageQuotas } from './image-quotas.js';

const GiB = 1024 ** 3;
/** Of a container that asks for none: what is left of its tenant's own limits decides. */
const DEFAULTS = { memoryBytes: 4 * GiB, cpuMillis: availableParallelism() * 1000, pids: 4096, shmBytes: 64 * 1024 * 1024 };

export interface HostOptions {
  readonly config: Pick<WorkerConfig, 'dataDir' | 'registries' | 'cgroupRoot' | 'nativeDir' | 'publish' | 'egressAllow' | 'dnsServers'>;
  readonly stores: EngineStores;
  readonly engine: Pick<Engine, 'runtime' | 'cgroups' | 'spawner'>;
  readonly events: HostEvents;
  readonly quotas: ImageQuotas;
  readonly logger: Logger;
}

/** The virtual hosts of the tenants that are at home on this node. */
export interface Host {
  readonly services: HostServices;
  /** Repositories that builds name. */
  readonly git: GitSource;
  /** Disks, volumes and networks: before the first sandbox is looked at. */
  prepare(): Promise<void>;
  /** Containers, once their sandboxes are known. */
  reopen(): Promise<void>;
  /** The same, then what nothing needs goes: for the one process that knows of all containers. */
  recover(): Promise<void>;
  /** Stops every container. */
  stopContainers(): Promise<void>;
  /** Takes down the networks, when no sandbox is left. */
  closeNetworks(): Promise<void>;
  /** Unmounts the disks, when no sandbox and no helper is left. */
  close(): Promise<void>;
}

/** To be opened before the engine's spawner starts: disks that are mounted later reach its mount name space only then. */
export async function openHost({ config, stores, engine, events, quotas, logger }: HostOptions): Promise<Host> {
  const root = join(config.dataDir, 'engine');
  const { content, snapshots, trees, guestTrees, tenantImages: images } = stores;
  const disks = await LoopDisks.open(join(root, 'disks'), { logger });
  const volumes = await TenantVolumes.open({ root: join(root, 'volumes'), disks, trees, events, logger });
  const networks = LinuxNetworks.open({
    root: join(root, 'networks'),
    instance: config.cgroupRoot,
    program: join(config.nativeDir, 'sandbar-net'),
    spawner: engine.spawner,
    allowPrivateCidrs: config.egressAllow,
    publish: config.publish,
    dnsServers: config.dnsServers,
    logger,
  });
  const cgroups = new TenantCgroups(engine.cgroups, join(root, 'tenant-limits'));
  const prepareTenant = (tenantId: TenantId): Promise<void> => cgroups.ensureAgain(tenantId);
  const containers = TenantContainers.open({ root: join(root, 'containers'), images, snapshots, volumes, disks, trees, guestTrees, networks, runtime: engine.runtime, events, prepareTenant, defaults: DEFAULTS, clock: systemClock, logger });
  const dialer = await HelperDialer.open({ program: join(config.nativeDir, 'sandbar-dial'), spawner: engine.spawner, folder: join(root, 'dial'), logger });
  const fetcher = new UrlFetcher(config.registries);
  const transfers = new RegistryTransfers({ root: join(root, 'registry'), images, content, policy: config.registries, events, logger, quotaBytesOf: (namespace) => quotas.of(namespace) });
  const git = new HttpGitSource({ root: join(root, 'git'), fetcher, logger });
  const builder = new DockerfileBuilder({ root: join(root, 'builds'), images, transfers, snapshots, trees, containers, processes: containers.processes, volumes, fetchUrl: (url, signal) => fetcher.open(url, signal), git, clock: systemClock, logger });
  const services: HostServices = {
    images,
    volumes,
    networks,
    containers,
    processes: containers.processes,
    ports: new TenantContainerPorts(containers, engine.runtime, dialer),
    deadlines: new ExecDeadlines(containers.processes, logger),
    files: containers.files,
    disks,
    events,
    cgroups,
    quotas,
    archives: new TarImageArchives({ content, images, quotaBytesOf: (namespace) => quotas.of(namespace) }),
    transfers,
    builder,
    fetchUrl: (url, signal) => fetcher.fetch(url, signal),
  };
  const reopen = async (): Promise<void> => {
    await containers.recover();
    await git.recover();
    await builder.recover();
  };
  return {
    services,
    git,
    prepare: async () => {
      await disks.recover();
      await volumes.recover();
      await networks.recover();
    },
    reopen,
    recover: async () => {
      await reopen();
      const { blobs, bytes, layers } = await images.collectGarbage();
      if (blobs + layers > 0) logger.info({ blobs, bytes, layers }, 'images: removed what nothing needs');
    },
    stopContainers: () => containers.close(),
    closeNetworks: async () => {
      await dialer.close();
      await networks.close();
    },
    close: () => disks.close(),
  };
}
