import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { newId, silentLogger, type TenantId } from '#kernel';
import { LoopDisks } from '../../disks/index.js';
import { MemoryHostEvents, type HostEvent, type HostEvents } from '../../events/index.js';
import { describeVolumes } from '../volumes.contract.js';
import { TenantVolumes } from './tenant-volumes.js';
import { plainTrees } from './plain-trees.contract.js';

const MiB = 1024 ** 2;

describeVolumes('TenantVolumes on loop devices', async () => {
  const base = await mkdtemp(join(tmpdir(), 'volumes-'));
  let disks = await LoopDisks.open(join(base, 'disks'), { logger: silentLogger });
  const published: [TenantId, HostEvent][] = [];
  const publish: HostEvents['publish'] = (tenantId, event) => {
    published.push([tenantId, { ...event, timeNs: 0n }]);
  };
  return {
    open: async () => {
      disks = await LoopDisks.open(join(base, 'disks'), { logger: silentLogger });
      await disks.recover();
      return TenantVolumes.open({ root: join(base, 'records'), disks, trees: plainTrees(), events: { publish } as HostEvents, logger: silentLogger });
    },
    giveDisk: async (tenantId) => (await disks.ensure(tenantId, 128 * MiB)).path,
    recordsOf: (tenantId) => join(base, 'records', tenantId),
    events: (tenantId) => published.filter(([of]) => of === tenantId).map(([, event]) => event),
    cleanup: async () => {
      await disks.close();
      await rm(base, { recursive: true, force: true });
    },
  };
});

describe('TenantVolumes with a size', () => {
  it('end there, take their space at once, and give it back', async () => {
    const base = await mkdtemp(join(tmpdir(), 'volumes-'));
    const disks = await LoopDisks.open(join(base, 'disks'), { logger: silentLogger });
    try {
      const tenant = newId('tenant');
      await disks.ensure(tenant, 64 * MiB);
      const volumes = await TenantVolumes.open({ root: join(base, 'records'), disks, trees: plainTrees(), events: new MemoryHostEvents(), logger: silentLogger });
      await volumes.create(tenant, { name: 'small', options: { o: 'size=4m' } });
      const dir = await volumes.dataDir(tenant, 'small');
      await writeFile(join(dir!, 'fits'), Buffer.alloc(3 * MiB, 1));
      await expect(writeFile(join(dir!, 'more'), Buffer.alloc(2 * MiB, 1))).rejects.toMatchObject({ code: 'ENOSPC' });
      const before = await volumes.diskUsage(tenant);
      await expect(volumes.create(tenant, { name: 'large', options: { size: '60m' } })).rejects.toMatchObject({ code: 'resource_exhausted' });
      expect(await volumes.list(tenant)).toHaveLength(1);
      await volumes.remove(tenant, 'small');
      expect(await volumes.diskUsage(newId('tenant'))).toBeUndefined();
      for (let wait = 0; wait < 50 && (await volumes.diskUsage(tenant))!.availableBytes < before!.availableBytes + 4 * MiB; wait += 1) await new Promise((resolve) => setTimeout(resolve, 100));
      expect((await volumes.diskUsage(tenant))!.availableBytes).toBeGreaterThan(before!.availableBytes + 4 * MiB);
    } finally {
      await disks.close();
      await rm(base, { recursive: true, force: true });
    }
  });
});
