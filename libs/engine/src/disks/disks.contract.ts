import { closeSync, openSync, writeSync } from 'node:fs';
import { mkdir, open, readFile, readdir, rm, stat, statfs, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { errnoOf, newId, type TenantId } from '#kernel';
import type { TenantDisk, TenantDisks } from './disks.js';

export interface DisksUnderTest {
  /** Over the same root each time, as a process that starts there: what an earlier one had in memory is lost. */
  open(): Promise<TenantDisks>;
  /** What the tenant's disk takes of the host. */
  hostBytes(tenantId: TenantId): Promise<number>;
  /** Mounts, devices and files that are left. */
  leftovers(): Promise<string[]>;
  cleanup(): Promise<void>;
}

const MiB = 1024 ** 2;
const chunk = Buffer.alloc(64 * 1024, 0xa5);

/** Writes until the disk says ENOSPC. @returns how many bytes of content fitted */
function fill(path: string): number {
  const file = openSync(path, 'w');
  let bytes = 0;
  try {
    for (;;) bytes += writeSync(file, chunk);
  } catch (error) {
    expect(errnoOf(error)).toBe('ENOSPC');
    return bytes;
  } finally {
    closeSync(file);
  }
}

async function sync(path: string): Promise<void> {
  const handle = await open(path, 'r');
  await handle.sync();
  await handle.close();
}

export function describeTenantDisks(name: string, factory: () => Promise<DisksUnderTest>): void {
  describe(`${name} as TenantDisks`, () => {
    let under: DisksUnderTest;
    let disks: TenantDisks;
    let tenant: TenantId;
    beforeEach(async () => {
      under = await factory();
      disks = await under.open();
      tenant = newId('tenant');
    });
    afterEach(async () => {
      await disks.close();
      await under.cleanup();
    });

    const file = (disk: TenantDisk, path: string): string => join(disk.path, 'volumes', path);

    it.each([8, 20, 64, 200, 600])('ends in ENOSPC within 1 MiB of %d MiB', async (mebibytes) => {
      const disk = await disks.ensure(tenant, mebibytes * MiB);
      const written = fill(file(disk, 'big'));
      expect(Math.abs(written - mebibytes * MiB)).toBeLessThan(MiB);
      const { totalBytes, usedBytes, availableBytes } = await disk.usage();
      expect(Math.abs(totalBytes - mebibytes * MiB)).toBeLessThan(MiB);
      expect(usedBytes + availableBytes).toBe(totalBytes);
      expect(availableBytes).toBeLessThan(MiB);
    });

    it.each([8 * MiB, 100 * MiB + 12_345, 3 * 1024 * MiB, 50 * 1024 * MiB, 300 * 1024 * MiB])('offers %d bytes', async (sizeBytes) => {
      const disk = await disks.ensure(tenant, sizeBytes);
      expect(Math.abs((await statfs(disk.path)).bavail * 4096 - sizeBytes)).toBeLessThan(MiB / 2);
      // What the host pays for an empty one: tables, no content.
      expect(await under.hostBytes(tenant)).toBeLessThan(4 * MiB + sizeBytes / 4096);
    });

    it('gives space back to the host', async () => {
      const disk = await disks.ensure(tenant, 64 * MiB);
      const empty = await under.hostBytes(tenant);
      await writeFile(file(disk, 'big'), Buffer.alloc(40 * MiB, 1), { flush: true });
      expect(await under.hostBytes(tenant)).toBeGreaterThan(empty + 39 * MiB);
      await rm(file(disk, 'big'));
      await sync(disk.path);
      for (let wait = 0; wait < 50 && (await under.hostBytes(tenant)) > empty + 2 * MiB; wait += 1) await new Promise((resolve) => setTimeout(resolve, 40));
      expect(await under.hostBytes(tenant)).toBeLessThan(empty + 2 * MiB);
      expect((await disk.usage()).usedBytes).toBeLessThan(MiB);
    });

    it('lets another tenant write on when one is full', async () => {
      const other = newId('tenant');
      const [full, free] = await Promise.all([disks.ensure(tenant, 16 * MiB), disks.ensure(other, 16 * MiB)]);
      fill(file(full, 'big'));
      await writeFile(file(free, 'mine'), Buffer.alloc(15 * MiB, 1), { flush: true });
      await expect(writeFile(file(full, 'more'), chunk)).rejects.toMatchObject({ code: 'ENOSPC' });
    });

    it('ends inodes too, of that tenant alone', async () => {
      const disk = await disks.ensure(tenant, 8 * MiB);
      let made = 0;
      await expect(
        (async () => {
          for (; made < 5_000; made += 1) await (await open(file(disk, `f${made}`), 'w')).close();
        })(),
      ).rejects.toMatchObject({ code: 'ENOSPC' });
      expect(made).toBeGreaterThan(400);
      const { totalInodes, usedInodes } = await disk.usage();
      expect(usedInodes).toBe(totalInodes);
      const other = await disks.ensure(newId('tenant'), 8 * MiB);
      await writeFile(file(other, 'f'), 'x');
    });

    it('grows and shrinks with what is on it', async () => {
      let disk = await disks.ensure(tenant, 16 * MiB);
      await writeFile(file(disk, 'kept'), Buffer.alloc(10 * MiB, 7));
      for (const mebibytes of [300, 20, 150, 12, 700]) {
        disk = await disks.ensure(tenant, mebibytes * MiB);
        expect(Math.abs((await disk.usage()).totalBytes - mebibytes * MiB)).toBeLessThan(MiB);
        expect(Math.abs(fill(file(disk, 'rest')) - (mebibytes - 10) * MiB)).toBeLessThan(MiB);
        await rm(file(disk, 'rest'));
        // ext4 frees what was deleted with the next commit.
        await sync(disk.path);
      }
      expect((await readFile(file(disk, 'kept'))).equals(Buffer.alloc(10 * MiB, 7))).toBe(true);
    });

    it('refuses to become smaller than what is on it', async () => {
      const disk = await disks.ensure(tenant, 32 * MiB);
      await writeFile(file(disk, 'kept'), Buffer.alloc(20 * MiB, 7));
      await expect(disks.ensure(tenant, 16 * MiB)).rejects.toMatchObject({ code: 'failed_precondition' });
      expect(Math.abs((await disk.usage()).totalBytes - 32 * MiB)).toBeLessThan(MiB);
      await writeFile(file(disk, 'more'), Buffer.alloc(10 * MiB));
    });

    it('gives the same disk to all who ask at once', async () => {
      const found = await Promise.all(Array.from({ length: 10 }, () => disks.ensure(tenant, 16 * MiB)));
      expect(new Set(found.map(({ path }) => path)).size).toBe(1);
      expect((await disks.list()).map(({ tenantId }) => tenantId)).toEqual([tenant]);
    });

    it('makes twenty at once', async () => {
      const tenants = Array.from({ length: 20 }, () => newId('tenant'));
      const made = await Promise.all(tenants.map((id) => disks.ensure(id, 16 * MiB)));
      await Promise.all(made.map((disk) => writeFile(file(disk, 'own'), disk.tenantId)));
      expect(await Promise.all(made.map((disk) => readFile(file(disk, 'own'), 'utf8')))).toEqual(tenants);
      expect((await disks.list()).map(({ tenantId }) => tenantId).sort()).toEqual([...tenants].sort());
    });

    it('has folders that only root sees', async () => {
      const disk = await disks.ensure(tenant, 8 * MiB);
      expect((await readdir(disk.path)).filter((entry) => entry !== 'lost+found' && !entry.startsWith('.')).sort()).toEqual(['containers', 'host', 'partitions', 'volumes']);
      // What everybody expects of a host; made once, since guests may change it.
      expect(await readdir(join(disk.path, 'host'))).toEqual(expect.arrayContaining(['etc', 'home', 'tmp', 'var']));
      expect((await stat(join(disk.path, 'host', 'tmp'))).mode & 0o7777).toBe(0o1777);
    });

    it('finds none that was never made, and no id that is none', async () => {
      expect(await disks.find(tenant)).toBeUndefined();
      expect(await disks.list()).toEqual([]);
      await disks.remove(tenant);
      for (const id of ['../../etc', 'ten_x', '']) await expect(disks.ensure(id as TenantId, 8 * MiB)).rejects.toMatchObject({ code: 'invalid_argument' });
      for (const size of [0, -1, 1.5, Number.NaN]) await expect(disks.ensure(tenant, size)).rejects.toMatchObject({ code: 'invalid_argument' });
    });

    it('finds a disk again, mounted or not, with its size', async () => {
      const before = await disks.ensure(tenant, 24 * MiB);
      await writeFile(file(before, 'kept'), 'kept');
      // As after a kill: nothing was unmounted.
      for (const restart of [async () => Promise.resolve(), () => disks.close()]) {
        await restart();
        disks = await under.open();
        await disks.recover();
        const disk = await disks.find(tenant);
        expect(await readFile(file(disk!, 'kept'), 'utf8')).toBe('kept');
        expect(Math.abs((await disk!.usage()).totalBytes - 24 * MiB)).toBeLessThan(MiB);
        await disks.ensure(tenant, 24 * MiB);
        expect((await under.leftovers()).filter((left) => left.startsWith('/dev/loop'))).toHaveLength(1);
      }
    });

    it('removes a disk with all that is on it', async () => {
      const disk = await disks.ensure(tenant, 16 * MiB);
      await disk.ensurePartition('part', 2 * MiB);
      await writeFile(file(disk, 'secret'), 'x');
      await disks.remove(tenant);
      expect(await disks.find(tenant)).toBeUndefined();
      expect((await under.leftovers()).filter((left) => left.includes(tenant))).toEqual([]);
      expect(await readdir(join((await disks.ensure(tenant, 16 * MiB)).path, 'volumes'))).toEqual([]);
    });

    it('does not remove a disk that is in use', async () => {
      const disk = await disks.ensure(tenant, 16 * MiB);
      const held = await open(file(disk, 'held'), 'w');
      await expect(disks.remove(tenant)).rejects.toMatchObject({ code: 'failed_precondition' });
      await held.writeFile('still there');
      await held.close();
      expect(await readFile(file((await disks.find(tenant))!, 'held'), 'utf8')).toBe('still there');
      await disks.remove(tenant);
    });

    it('leaves nothing when it is closed, and what is open stays open', async () => {
      const disk = await disks.ensure(tenant, 16 * MiB);
      await disk.ensurePartition('part', 2 * MiB);
      const held = await open(file(disk, 'held'), 'w+');
      await disks.close();
      await disks.close();
      await held.writeFile('still there');
      await held.sync();
      await held.close();
      for (let wait = 0; wait < 20 && (await under.leftovers()).length > 0; wait += 1) await new Promise((resolve) => setTimeout(resolve, 25));
      expect(await under.leftovers()).toEqual([]);
      await expect(disks.ensure(tenant, 16 * MiB)).rejects.toMatchObject({ code: 'unavailable' });
      disks = await under.open();
      expect(await readFile(file((await disks.find(tenant))!, 'held'), 'utf8')).toBe('still there');
    });

    describe('partitions', () => {
      it('have a hard end, and the disk has that much less', async () => {
        const disk = await disks.ensure(tenant, 64 * MiB);
        const before = (await disk.usage()).usedBytes;
        const path = await disk.ensurePartition('c1', 20 * MiB);
        const taken = (await disk.usage()).usedBytes - before;
        expect(taken).toBeGreaterThanOrEqual(20 * MiB);
        expect(taken).toBeLessThan(32 * MiB);
        await mkdir(join(path, 'upper'));
        expect(Math.abs(fill(join(path, 'upper', 'big')) - 20 * MiB)).toBeLessThan(MiB);
        const held = (await disk.usage()).usedBytes;
        await rm(join(path, 'upper', 'big'));
        // Its space stays its own: what is deleted in it is not given back, not with the commit and not after.
        await writeFile(join(path, 'upper', 'small'), 'x', { flush: true });
        await new Promise((resolve) => setTimeout(resolve, 300));
        await sync(disk.path);
        expect((await disk.usage()).usedBytes).toBeGreaterThan(held - MiB);
        await rm(join(path, 'upper', 'small'));
        fill(file(disk, 'rest'));
        expect(Math.abs(fill(join(path, 'upper', 'big')) - 20 * MiB)).toBeLessThan(MiB);
        await rm(file(disk, 'rest'));
        await disk.removePartition('c1');
        await disk.removePartition('c1');
        await sync(disk.path);
        expect((await disk.usage()).usedBytes).toBeLessThan(before + MiB);
      });

      it('that do not fit are refused at once and leave nothing', async () => {
        const disk = await disks.ensure(tenant, 16 * MiB);
        const before = (await disk.usage()).usedBytes;
        await expect(disk.ensurePartition('c1', 20 * MiB)).rejects.toMatchObject({ code: 'resource_exhausted' });
        await sync(disk.path);
        expect((await disk.usage()).usedBytes).toBeLessThan(before + MiB);
        expect(await readdir(join(disk.path, 'partitions'))).toEqual([]);
      });

      it('are found again after a restart, clean or not', async () => {
        let disk = await disks.ensure(tenant, 32 * MiB);
        await writeFile(join(await disk.ensurePartition('c1', 4 * MiB), 'kept'), 'kept');
        for (const restart of [async () => Promise.resolve(), () => disks.close()]) {
          await restart();
          disks = await under.open();
          await disks.recover();
          disk = await disks.ensure(tenant, 32 * MiB);
          expect(await readFile(join(await disk.ensurePartition('c1', 4 * MiB), 'kept'), 'utf8')).toBe('kept');
        }
        disks = await under.open();
        await disks.recover();
        await disks.remove(tenant);
      });

      it('outlive the growth of their disk', async () => {
        let disk = await disks.ensure(tenant, 32 * MiB);
        const path = await disk.ensurePartition('c1', 4 * MiB);
        await writeFile(join(path, 'kept'), 'kept');
        disk = await disks.ensure(tenant, 128 * MiB);
        expect(await readFile(join(path, 'kept'), 'utf8')).toBe('kept');
        expect((await disk.usage()).availableBytes).toBeGreaterThan(100 * MiB);
      });

      it('need a size, however small', async () => {
        const disk = await disks.ensure(tenant, 32 * MiB);
        for (const size of [0, -1, 0.5, Number.NaN]) await expect(disk.ensurePartition('c1', size)).rejects.toMatchObject({ code: 'invalid_argument' });
        expect(fill(join(await disk.ensurePartition('c1', 1), 'f'))).toBeLessThan(MiB);
      });

      it.each(['', '.', '..', '../x', 'a/b', '.new-1', 'x'.repeat(101), 'a\0b'])('refuse the name %j', async (hostile) => {
        const disk = await disks.ensure(tenant, 8 * MiB);
        await expect(disk.ensurePartition(hostile, MiB)).rejects.toMatchObject({ code: 'invalid_argument' });
        await disk.removePartition(hostile);
      });
    });
  });
}
