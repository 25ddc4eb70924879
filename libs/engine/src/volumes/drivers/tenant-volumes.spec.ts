import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { silentLogger, type TenantId } from '#kernel';
import type { TenantDisk } from '../../disks/index.js';
import type { HostEvent, HostEvents } from '../../events/index.js';
import type { Trees } from '../../tree/index.js';
import { describeVolumes } from '../volumes.contract.js';
import { TenantVolumes } from './tenant-volumes.js';
import { plainTrees } from '../testing/plain-trees.js';

/** A folder in the place of a disk, folders in the place of partitions: what volumes do on it, without the ends that need root. */
async function folderDisk(tenantId: TenantId, path: string): Promise<TenantDisk> {
  for (const folder of ['volumes', 'partitions', 'host']) await mkdir(join(path, folder), { recursive: true });
  return {
    tenantId,
    path,
    usage: () => Promise.resolve({ totalBytes: 1, usedBytes: 0, availableBytes: 1, totalInodes: 1, usedInodes: 0 }),
    ensurePartition: async (name) => {
      await mkdir(join(path, 'partitions', name), { recursive: true });
      return join(path, 'partitions', name);
    },
    removePartition: (name) => rm(join(path, 'partitions', name), { recursive: true, force: true }),
  };
}

describeVolumes('TenantVolumes', async () => {
  const base = await mkdtemp(join(tmpdir(), 'volumes-'));
  const disks = new Map<TenantId, TenantDisk>();
  const published: [TenantId, HostEvent][] = [];
  const events: Pick<HostEvents, 'publish'> = {
    publish: (tenantId, event) => {
      published.push([tenantId, { ...event, timeNs: 0n }]);
    },
  };
  const trees: Trees = plainTrees();
  return {
    open: () => TenantVolumes.open({ root: join(base, 'records'), disks: { find: (tenantId) => Promise.resolve(disks.get(tenantId)) }, trees, events: events as HostEvents, logger: silentLogger }),
    giveDisk: async (tenantId) => {
      const disk = await folderDisk(tenantId, join(base, tenantId));
      disks.set(tenantId, disk);
      return disk.path;
    },
    recordsOf: (tenantId) => join(base, 'records', tenantId),
    events: (tenantId) => published.filter(([of]) => of === tenantId).map(([, event]) => event),
    cleanup: () => rm(base, { recursive: true, force: true }),
  };
});
