import { mkdir, mkdtemp, readFile, readdir, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { newId, silentLogger, type TenantId } from '#kernel';
import { LoopDisks } from '../../disks/index.js';
import { MemoryHostEvents, type HostEvent, type HostEvents } from '../../events/index.js';
import { gather, writeAll, fileEntry } from '../../tar/testing/archives.js';
import { realTrees } from '../../tree/testing/trees.js';
import { describeVolumes } from '../volumes.contract.js';
import { TenantVolumes } from './tenant-volumes.js';


const MiB = 1024 ** 2;
const trees = realTrees();

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
      return TenantVolumes.open({ root: join(base, 'records'), disks, trees: trees, events: { publish } as HostEvents, logger: silentLogger });
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

describe('TenantVolumes, their content', () => {
  const tenant = newId('tenant');
  let base: string;
  let disks: LoopDisks;
  let volumes: TenantVolumes;
  beforeAll(async () => {
    base = await mkdtemp(join(tmpdir(), 'volumes-'));
    disks = await LoopDisks.open(join(base, 'disks'), { logger: silentLogger });
    await disks.ensure(tenant, 64 * MiB);
    volumes = await TenantVolumes.open({ root: join(base, 'records'), disks, trees, events: new MemoryHostEvents(), logger: silentLogger });
  });
  afterAll(async () => {
    await disks.close();
    await rm(base, { recursive: true, force: true });
  });

  async function* tarOf(...files: [string, string][]): AsyncGenerator<Buffer, void, void> {
    const entries = files.map(([path, text]) => fileEntry(path, text, { mode: 0o640, uid: 7, gid: 8, mtimeNs: 5_000_000_000n }));
    yield await writeAll(entries);
  }

  it('ends at its size, takes its space at once, and gives it back', async () => {
    await volumes.create(tenant, { name: 'small', options: { o: 'size=4m' } });
    const dir = await volumes.dataDir(tenant, 'small');
    await writeFile(join(dir!, 'fits'), Buffer.alloc(3 * MiB, 1));
    await expect(writeFile(join(dir!, 'more'), Buffer.alloc(2 * MiB, 1))).rejects.toMatchObject({ code: 'ENOSPC' });
    const before = await volumes.diskUsage(tenant);
    await expect(volumes.create(tenant, { name: 'large', options: { size: '60m' } })).rejects.toMatchObject({ code: 'resource_exhausted' });
    expect(await volumes.list(tenant)).toHaveLength(1);
    await volumes.remove(tenant, 'small');
    expect(await volumes.diskUsage(newId('tenant'))).toBeUndefined();
    const available = async (): Promise<number> => (await volumes.diskUsage(tenant))!.availableBytes - before!.availableBytes;
    for (let wait = 0; wait < 50 && (await available()) < 4 * MiB; wait += 1) await new Promise((resolve) => setTimeout(resolve, 100));
    expect(await available()).toBeGreaterThan(4 * MiB);
  });

  it.each([{}, { size: '4m' }, { type: 'none', o: 'bind', device: '/srv' }])('goes in and out as a tar with options %j', async (options) => {
    await mkdir(join((await disks.find(tenant))!.path, 'host', 'srv'), { recursive: true });
    await volumes.create(tenant, { name: 'data', options });
    await volumes.extract(tenant, 'data', tarOf(['a', 'first'], ['b/c', 'second']));
    await volumes.extract(tenant, 'data', tarOf(['a', 'over it']));
    expect(await volumes.get(tenant, 'data')).toMatchObject({ filled: true });
    const tar = await gather(volumes.pack(tenant, 'data'));
    await volumes.create(tenant, { name: 'copy' });
    await volumes.extract(tenant, 'copy', (async function* () {
      await Promise.resolve();
      yield tar;
    })());
    const dir = await volumes.dataDir(tenant, 'copy');
    expect(await readFile(join(dir!, 'a'), 'utf8')).toBe('over it');
    expect(await readFile(join(dir!, 'b/c'), 'utf8')).toBe('second');
    expect(await stat(join(dir!, 'a'))).toMatchObject({ mode: 0o100640, uid: 7, gid: 8, mtimeMs: 5_000 });
    expect((await gather(volumes.pack(tenant, 'copy'))).equals(tar)).toBe(true);
    for (const name of ['data', 'copy']) await volumes.remove(tenant, name);
  });

  it('stays inside of a bind volume whose path a guest made a link', async () => {
    const host = join((await disks.find(tenant))!.path, 'host');
    await symlink(base, join(host, 'out'));
    await volumes.create(tenant, { name: 'out', options: { type: 'none', o: 'bind', device: '/out' } });
    await volumes.extract(tenant, 'out', tarOf(['planted', 'x'])).catch(() => undefined);
    expect(await readdir(base)).toEqual(['disks', 'records']);
    await volumes.remove(tenant, 'out');
    expect(await readdir(host)).toContain('out');
  });

  it('that is hostile or too much is refused in words', async () => {
    await volumes.create(tenant, { name: 'data' });
    await expect(volumes.extract(tenant, 'data', tarOf(['../../up', 'x']))).rejects.toMatchObject({ code: 'invalid_argument' });
    await volumes.create(tenant, { name: 'tiny', options: { size: '1m' } });
    await expect(volumes.extract(tenant, 'tiny', tarOf(['big', 'x'.repeat(3 * MiB)]))).rejects.toMatchObject({ code: 'resource_exhausted' });
    for (const name of ['data', 'tiny']) await volumes.remove(tenant, name);
  });
});
