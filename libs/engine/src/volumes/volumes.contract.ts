import { mkdir, readdir, readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { newId, type TenantId } from '#kernel';
import type { HostEvent } from '../events/index.js';
import type { Volumes } from './volumes.js';

export interface VolumesUnderTest {
  /** Over the same folders each time, as a process that starts there. Not yet recovered. */
  open(): Promise<Volumes>;
  /** Gives the tenant a disk. @returns its top */
  giveDisk(tenantId: TenantId): Promise<string>;
  /** The folder of the tenant's records. */
  recordsOf(tenantId: TenantId): string;
  events(tenantId: TenantId): HostEvent[];
  cleanup(): Promise<void>;
}

const MiB = 1024 ** 2;

export function describeVolumes(name: string, factory: () => Promise<VolumesUnderTest>): void {
  describe(`${name} as Volumes`, () => {
    let under: VolumesUnderTest;
    let volumes: Volumes;
    let tenant: TenantId;
    let disk: string;
    beforeEach(async () => {
      under = await factory();
      volumes = await under.open();
      await volumes.recover();
      tenant = newId('tenant');
      disk = await under.giveDisk(tenant);
    });
    afterEach(() => under.cleanup());

    const names = async (of: Volumes = volumes): Promise<string[]> => (await of.list(tenant)).map((volume) => volume.name).sort();
    const reopen = async (): Promise<void> => {
      volumes = await under.open();
      await volumes.recover();
    };
    const onDisk = async (): Promise<string[]> => [...(await readdir(join(disk, 'volumes'))), ...(await readdir(join(disk, 'partitions')))];

    it('makes a volume, tells it, and makes it once', async () => {
      const made = await volumes.create(tenant, { name: 'data', labels: { a: 'b' } });
      expect(made).toEqual({ name: 'data', driver: 'local', createdAt: expect.any(Number) as number, labels: { a: 'b' }, options: {}, anonymous: false, filled: false });
      expect(await volumes.create(tenant, { name: 'data', driver: 'local' })).toEqual(made);
      expect(await volumes.get(tenant, 'data')).toEqual(made);
      expect(await volumes.list(tenant)).toEqual([made]);
      await expect(volumes.create(tenant, { name: 'data', options: { size: '1m' } })).rejects.toMatchObject({ code: 'conflict' });
    });

    it('gives those without a name one of 64 hex digits, and the label', async () => {
      const made = await Promise.all([volumes.create(tenant, {}), volumes.create(tenant, { name: '', labels: { x: 'y' } })]);
      for (const volume of made) {
        expect(volume.name).toMatch(/^[0-9a-f]{64}$/);
        expect(volume).toMatchObject({ anonymous: true, labels: { 'com.docker.volume.anonymous': '' } });
      }
      expect(made[0].name).not.toBe(made[1].name);
      expect(await volumes.create(tenant, { name: 'labelled', labels: { 'com.docker.volume.anonymous': '' } })).toMatchObject({ anonymous: true });
    });

    it('makes one of a name however many ask at once', async () => {
      const made = await Promise.all(Array.from({ length: 20 }, () => volumes.create(tenant, { name: 'data' })));
      expect(new Set(made.map(({ createdAt }) => createdAt)).size).toBe(1);
      expect(await onDisk()).toHaveLength(1);
    });

    it('keeps only so many with large labels, which lie in memory', async () => {
      const large = { text: 'x'.repeat(3000) };
      for (let n = 0; n < 100; n += 1) await volumes.create(tenant, { name: `large-${n}`, labels: large });
      await expect(volumes.create(tenant, { name: 'one-more', labels: large })).rejects.toMatchObject({ code: 'quota_exceeded' });
      await volumes.create(tenant, { name: 'small' });
      await volumes.remove(tenant, 'large-7');
      await volumes.create(tenant, { name: 'one-more', labels: large });
    });

    it('keeps two tenants apart', async () => {
      const other = newId('tenant');
      await under.giveDisk(other);
      await volumes.create(tenant, { name: 'data', labels: { mine: '1' } });
      await expect(volumes.get(other, 'data')).rejects.toMatchObject({ code: 'not_found', message: 'get data: no such volume' });
      await volumes.create(other, { name: 'data' });
      const [mine, theirs] = await Promise.all([volumes.dataDir(tenant, 'data'), volumes.dataDir(other, 'data')]);
      await writeFile(join(mine!, 'f'), 'mine');
      expect(await readdir(theirs!)).toEqual([]);
      volumes.hold(other, 'data', 'c1');
      await volumes.remove(tenant, 'data');
      expect(await volumes.get(other, 'data')).toMatchObject({ labels: {} });
      expect((await volumes.prune(tenant, { all: true })).removed).toEqual([]);
    });

    it('gives what a sandbox mounts', async () => {
      await volumes.create(tenant, { name: 'data' });
      await volumes.create(tenant, { name: 'memory', options: { type: 'tmpfs', device: 'tmpfs', o: 'size=1m,mode=755' } });
      await volumes.create(tenant, { name: 'host', options: { type: 'none', o: 'bind', device: '/../srv/./x' } });
      expect(await volumes.source(tenant, 'data')).toEqual({ kind: 'bind', base: await volumes.dataDir(tenant, 'data'), path: '', ensureDirectory: false });
      expect(await volumes.source(tenant, 'memory')).toEqual({ kind: 'tmpfs', sizeBytes: MiB, mode: 0o755 });
      expect(await volumes.source(tenant, 'host')).toEqual({ kind: 'bind', base: join(disk, 'host'), path: 'srv/x', ensureDirectory: false });
      expect(await volumes.hostPath(tenant, '/', true)).toEqual({ kind: 'bind', base: join(disk, 'host'), path: '', ensureDirectory: true });
      expect(await volumes.hostPath(tenant, '/a/../../../etc/passwd', false)).toMatchObject({ base: join(disk, 'host'), path: 'etc/passwd' });
      await expect(volumes.hostPath(tenant, 'relative', false)).rejects.toMatchObject({ code: 'invalid_argument' });
      expect(await volumes.dataDir(tenant, 'memory')).toBeUndefined();
      expect(await volumes.usage(tenant, 'memory')).toEqual({ bytes: 0 });
      await expect(volumes.pack(tenant, 'memory')[Symbol.asyncIterator]().next()).rejects.toMatchObject({ code: 'failed_precondition' });
    });

    it('names no folder after a volume', async () => {
      for (const volume of ['..data', 'CON', 'x'.repeat(255), '0'.repeat(64)].map((each) => each.replace(/^\./, 'a'))) {
        await volumes.create(tenant, { name: volume });
        const dir = await volumes.dataDir(tenant, volume);
        expect(dir).toMatch(new RegExp(`^${disk}/volumes/[0-9a-f]{32}/_data$`));
      }
    });

    it.each(['a', '.', '..', '../../etc', '/etc', 'a/b', 'a\0b', 'a b', '-rf', '\u202eab'])('refuses the name %j', async (hostile) => {
      await expect(volumes.create(tenant, { name: hostile })).rejects.toMatchObject({ code: 'invalid_argument' });
      expect(await onDisk()).toEqual([]);
    });

    it('refuses drivers and options it has not, and a tenant that is none', async () => {
      await expect(volumes.create(tenant, { name: 'data', driver: 'nfs' })).rejects.toMatchObject({ code: 'invalid_argument', message: 'create data: error looking up volume plugin nfs: plugin "nfs" not found' });
      await expect(volumes.create(tenant, { name: 'data', options: { tardis: 'blue' } })).rejects.toMatchObject({ message: 'create data: invalid option: "tardis"' });
      await expect(volumes.create(tenant, { name: 'data', labels: { big: 'x'.repeat(70_000) } })).rejects.toMatchObject({ code: 'invalid_argument' });
      await expect(volumes.create('../..' as TenantId, { name: 'data' })).rejects.toMatchObject({ code: 'invalid_argument' });
      await expect(volumes.create(newId('tenant'), { name: 'data' })).rejects.toMatchObject({ code: 'failed_precondition' });
    });

    it('keeps keys that objects of the language have', async () => {
      const labels = JSON.parse('{"__proto__":"p","constructor":"c"}') as Record<string, string>;
      await volumes.create(tenant, { name: 'constructor', labels });
      await reopen();
      expect(Object.entries((await volumes.get(tenant, 'constructor')).labels)).toEqual([['__proto__', 'p'], ['constructor', 'c']]);
      await expect(volumes.get(tenant, '__proto__')).rejects.toMatchObject({ code: 'not_found' });
    });

    it('removes a volume with what is in it, not one that is held', async () => {
      await volumes.create(tenant, { name: 'data' });
      await writeFile(join((await volumes.dataDir(tenant, 'data'))!, 'f'), 'x');
      volumes.hold(tenant, 'data', 'c1');
      volumes.hold(tenant, 'data', 'c2');
      volumes.hold(tenant, 'data', 'c2');
      for (const force of [false, true]) {
        await expect(volumes.remove(tenant, 'data', { force })).rejects.toMatchObject({ code: 'conflict', message: 'remove data: volume is in use - [c1, c2]' });
      }
      volumes.release(tenant, 'data', 'c1');
      volumes.release(tenant, 'data', 'c1');
      expect(volumes.holders(tenant, 'data')).toEqual(['c2']);
      volumes.release(tenant, 'data', 'c2');
      await volumes.remove(tenant, 'data');
      await expect(volumes.remove(tenant, 'data')).rejects.toMatchObject({ code: 'not_found', message: 'get data: no such volume' });
      await volumes.remove(tenant, 'data', { force: true });
      expect(await onDisk()).toEqual([]);
      await reopen();
      expect(await names()).toEqual([]);
    });

    it('lets no removal between a hold and the look after it', async () => {
      await volumes.create(tenant, { name: 'data' });
      const removal = volumes.remove(tenant, 'data');
      volumes.hold(tenant, 'data', 'c1');
      const [removed, found] = await Promise.allSettled([removal, volumes.get(tenant, 'data')]);
      expect([removed.status, found.status].sort()).toEqual(['fulfilled', 'rejected']);
    });

    it('prunes anonymous ones, all of them when asked, those that are accepted, none that is held', async () => {
      const anonymous = (await volumes.create(tenant, {})).name;
      for (const volume of ['named', 'held', 'labelled']) await volumes.create(tenant, { name: volume, labels: volume === 'labelled' ? { keep: '1' } : {} });
      volumes.hold(tenant, 'held', 'c1');
      await writeFile(join((await volumes.dataDir(tenant, anonymous))!, 'f'), Buffer.alloc(MiB, 1), { flush: true });
      const first = await volumes.prune(tenant, { all: false });
      expect(first.removed).toEqual([anonymous]);
      expect(first.reclaimedBytes).toBeGreaterThanOrEqual(MiB);
      expect((await volumes.prune(tenant, { all: true, accepts: ({ labels }) => labels.keep === undefined })).removed).toEqual(['named']);
      expect(await names()).toEqual(['held', 'labelled']);
    });

    it('says what happened', async () => {
      await volumes.create(tenant, { name: 'data' });
      await volumes.create(tenant, { name: 'data' });
      await volumes.remove(tenant, 'data');
      await volumes.prune(tenant, { all: true });
      expect(under.events(tenant).map(({ type, action, id, attributes }) => [type, action, id, attributes])).toEqual([
        ['volume', 'create', 'data', { driver: 'local' }],
        ['volume', 'destroy', 'data', { driver: 'local' }],
        ['volume', 'prune', '', { reclaimed: '0' }],
      ]);
    });

    it('remembers all of it, and that it is filled', async () => {
      await volumes.create(tenant, { name: 'data', labels: { a: 'b' } });
      const sized = await volumes.create(tenant, { name: 'sized', options: { size: '2m' } });
      await writeFile(join((await volumes.dataDir(tenant, 'sized'))!, 'f'), 'kept');
      await volumes.markFilled(tenant, 'data');
      await volumes.markFilled(tenant, 'data');
      const before = await volumes.list(tenant);
      await reopen();
      expect(await volumes.list(tenant)).toEqual(expect.arrayContaining(before));
      expect(await volumes.get(tenant, 'data')).toMatchObject({ filled: true });
      expect(await volumes.get(tenant, 'sized')).toEqual(sized);
      expect(await readFile(join((await volumes.dataDir(tenant, 'sized'))!, 'f'), 'utf8')).toBe('kept');
      await expect(volumes.markFilled(tenant, 'none')).rejects.toMatchObject({ code: 'not_found' });
    });

    describe.each([{}, { size: '2m' }])('killed with options %j', (options) => {
      const stages = async (from: string, to: string): Promise<void> => {
        const dir = under.recordsOf(tenant);
        for (const file of await readdir(dir)) await rename(join(dir, file), join(dir, file.replace(from, to)));
      };

      it.each(['making', 'dying'])('while a volume was %s: nothing is left of it', async (stage) => {
        await volumes.create(tenant, { name: 'data', options });
        await writeFile(join((await volumes.dataDir(tenant, 'data'))!, 'f'), 'x');
        await stages('.json', `.${stage}`);
        await reopen();
        expect(await names()).toEqual([]);
        expect(await onDisk()).toEqual([]);
        expect(await readdir(under.recordsOf(tenant))).toEqual([]);
        await volumes.create(tenant, { name: 'data', options });
        expect(await readdir((await volumes.dataDir(tenant, 'data'))!)).toEqual([]);
      });

      it('before its folder was made, after it was removed, and while a record was written', async () => {
        await volumes.create(tenant, { name: 'kept', options });
        const dir = under.recordsOf(tenant);
        const [record] = await readdir(dir);
        const text = await readFile(join(dir, record!), 'utf8');
        await writeFile(join(dir, `${'1'.repeat(32)}.making`), text.replace('kept', 'one'));
        await writeFile(join(dir, `${'2'.repeat(32)}.dying`), text.replace('kept', 'two'));
        await writeFile(join(dir, `${'3'.repeat(32)}.json.aaaa.tmp`), text.slice(0, 20));
        await reopen();
        expect(await names()).toEqual(['kept']);
        expect(await readdir(dir)).toEqual([record]);
      });
    });

    it('leaves alone what is no record of its own', async () => {
      await volumes.create(tenant, { name: 'data' });
      await writeFile(join(under.recordsOf(tenant), `${'1'.repeat(32)}.json`), '{"half":');
      await mkdir(join(under.recordsOf(tenant), '../not-a-tenant'));
      await reopen();
      expect(await names()).toEqual(['data']);
    });

    it('lists a thousand at once', async () => {
      for (let count = 0; count < 1_000; count += 50) await Promise.all(Array.from({ length: 50 }, (_, index) => volumes.create(tenant, { name: `v${count + index}` })));
      const reopening = performance.now();
      await reopen();
      const listing = performance.now();
      expect(await names()).toHaveLength(1_000);
      expect(performance.now() - listing).toBeLessThan(50);
      expect(listing - reopening).toBeLessThan(2_000);
    }, 60_000);

    it('drops a tenant with all it had', async () => {
      await volumes.create(tenant, { name: 'data' });
      volumes.hold(tenant, 'data', 'c1');
      await volumes.drop(tenant);
      await volumes.drop(tenant);
      expect(await names()).toEqual([]);
      expect(volumes.holders(tenant, 'data')).toEqual([]);
      expect(await onDisk()).toEqual([]);
      await reopen();
      expect(await names()).toEqual([]);
    });
  });
}
