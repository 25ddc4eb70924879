import { existsSync } from 'node:fs';
import { chmod, mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { EngineConfig } from '#config';
import { MemoryHostEvents } from '#engine';
import type { Logger } from '#kernel';
import { openEngine } from '../engine/open-engine.js';
import { ImageQuotas } from '../host/image-quotas.js';
import type { HostServices } from '../host/host-services.js';
import { openHost } from '../host/open-host.js';
import type { EngineStores } from './engine-stores.js';

/** Where an installation that has not ended has its disk, its containers and what it knows of its steps. */
function folderIn(dataDir: string): string {
  return join(dataDir, 'installer');
}

/** An installation was begun here, and whoever was at it died. */
export function hasLeftovers(dataDir: string): boolean {
  return existsSync(folderIn(dataDir));
}

/**
 * A virtual host for the time before a worker runs: it builds into the worker's stores, and has everything else (folders, cgroups, networks) to itself, so that
 * what is left of a worker that was killed stays as it is. Nothing of it is left afterwards; after a failure, what the builds have come to is, for the next try.
 * @param open private addresses that builds may reach here
 */
export async function withInstallHost<T>(given: EngineConfig, stores: EngineStores, open: readonly string[], logger: Logger, work: (services: HostServices) => Promise<T>): Promise<T> {
  const folder = folderIn(given.dataDir);
  const config = { ...given, dataDir: folder, cgroupRoot: `${given.cgroupRoot}-installer`, egressAllow: [...given.egressAllow, ...open] };
  await mkdir(join(folder, 'engine'), { recursive: true });
  for (const path of [folder, join(folder, 'engine')]) await chmod(path, 0o711);
  const engine = await openEngine({ ...config, snapshots: stores.snapshots, logger });
  const host = await openHost({ config, stores, engine, events: new MemoryHostEvents({}), quotas: new ImageQuotas(), logger });
  try {
    await host.prepare();
    await engine.runtime.recover();
    await host.reopen();
    const result = await work(host.services);
    await host.stopContainers();
    return result;
  } finally {
    await host.closeNetworks();
    await engine.cgroups.removeAll();
    await engine.close();
    await host.close();
  }
}

/** To be called when all is installed and the host is closed. */
export async function removeInstallFolder(dataDir: string): Promise<void> {
  await rm(folderIn(dataDir), { recursive: true, force: true });
}
