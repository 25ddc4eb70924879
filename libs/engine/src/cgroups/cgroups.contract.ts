import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Cgroup, CgroupManager } from './cgroups.js';

const MIB = 1024 * 1024;

/** Starts a shell line inside the cgroup. */
function startIn(cgroup: Cgroup, line: string): ChildProcess {
  const joins = cgroup.joinFiles.map((file) => `echo 0 > '${file}'`).join(' && ');
  return spawn('/bin/sh', ['-c', `${joins} && ${line}`], { stdio: 'ignore', detached: true });
}

/** It joins one hierarchy after the other. */
async function joined(cgroup: Cgroup, child: ChildProcess): Promise<boolean> {
  const members = await Promise.all(cgroup.joinFiles.map((file) => readFile(file, 'latin1')));
  return members.every((text) => text.split('\n').includes(String(child.pid)));
}

async function endOf(child: ChildProcess): Promise<void> {
  if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
}

async function until(what: string, condition: () => Promise<boolean>): Promise<void> {
  for (let poll = 0; poll < 400; poll += 1) {
    if (await condition()) return;
    await sleep(10);
  }
  throw new Error(`never: ${what}`);
}

/** What every driver promises, on a real hierarchy. `factory` gives managers over one root that nobody else uses. */
export function describeCgroupManager(name: string, factory: () => Promise<CgroupManager>): void {
  describe(name, () => {
    let manager: CgroupManager;
    const tenant = 'ten_a';

    beforeEach(async () => {
      manager = await factory();
      await manager.prepare();
      await manager.ensureTenant(tenant, { memoryBytes: 512 * MIB, pids: 500 });
    });

    afterEach(async () => {
      for (const { tenantId, sandboxId } of await manager.list()) await manager.sandbox(tenantId, sandboxId).kill();
      await manager.removeAll();
    });

    it('prepares, creates and removes any number of times', async () => {
      await manager.prepare();
      await manager.ensureTenant(tenant, {});
      const cgroup = await manager.ensureSandbox(tenant, 'sbx_1', { memoryBytes: 64 * MIB, pids: 10, cpuMillis: 500, cpuWeight: 200 });
      await manager.ensureSandbox(tenant, 'sbx_1', { memoryBytes: 64 * MIB });
      expect(await manager.list()).toEqual([{ tenantId: tenant, sandboxId: 'sbx_1' }]);
      await expect(manager.removeTenant(tenant)).rejects.toMatchObject({ code: 'failed_precondition' });
      await cgroup.kill();
      await cgroup.remove();
      await cgroup.remove();
      expect(await manager.list()).toEqual([]);
      await manager.removeTenant(tenant);
      await manager.removeTenant(tenant);
    });

    it('says not_found for a sandbox without its tenant, and for a cgroup that is none', async () => {
      await expect(manager.ensureSandbox('ten_unknown', 'sbx_1', {})).rejects.toMatchObject({ code: 'not_found' });
      await expect(manager.sandbox(tenant, 'sbx_none').usage()).rejects.toMatchObject({ code: 'not_found' });
      await manager.sandbox(tenant, 'sbx_none').kill();
      await manager.sandbox(tenant, 'sbx_none').remove();
    });

    it.each(['..', '../other', 'a/b', '', '.hidden', 'x'.repeat(65)])('refuses the name %j', (bad) => {
      expect(() => manager.sandbox(tenant, bad)).toThrow(expect.objectContaining({ code: 'invalid_argument' }));
    });

    it('keeps processes to the processors that are named, those that run already too', async () => {
      const { cpuset } = await manager.features();
      if (cpuset === undefined) {
        await expect(manager.ensureSandbox(tenant, 'sbx_1', { cpusetCpus: '0' })).rejects.toMatchObject({ code: 'unsupported' });
        return;
      }
      const allowed = async (pid: number): Promise<string | undefined> => /^Cpus_allowed_list:\s*(\S+)$/m.exec(await readFile(`/proc/${pid}/status`, 'latin1'))?.[1];
      const cgroup = await manager.ensureSandbox(tenant, 'sbx_1', {});
      const early = startIn(cgroup, 'sleep 60');
      await until('it joined', () => joined(cgroup, early));
      await cgroup.setLimits({ cpusetCpus: '0', cpusetMems: '0' });
      expect(await allowed(early.pid!)).toBe('0');
      const late = startIn(cgroup, 'sleep 60');
      await until('it joined', () => joined(cgroup, late));
      expect(await allowed(late.pid!)).toBe('0');
      await cgroup.setLimits({ cpusetCpus: '' });
      expect(await allowed(late.pid!)).toBe(cpuset.cpus);
      await expect(cgroup.setLimits({ cpusetCpus: '4095' })).rejects.toMatchObject({ code: 'invalid_argument' });
      await cgroup.kill();
      await cgroup.remove();
      expect(await manager.list()).toEqual([]);
    });

    it('takes what containers ask for, and gives it up again', async () => {
      const { blkioWeight } = await manager.features();
      const cgroup = await manager.ensureSandbox(tenant, 'sbx_1', { memoryBytes: 64 * MIB, memoryReservationBytes: 32 * MIB, cpuShares: 512, cpuQuota: { quotaUs: 20_000, periodUs: 50_000 }, blkioWeight: 300 });
      await cgroup.setLimits({ cpuQuota: { quotaUs: 60_000, periodUs: 200_000 } });
      await cgroup.setLimits({ cpuQuota: { quotaUs: -1, periodUs: 100_000 }, memoryReservationBytes: 0, cpuShares: 1024 });
      expect(typeof blkioWeight).toBe('boolean');
    });

    it("leaves a share of more than the tenant's to the tenant's", async () => {
      await manager.ensureTenant(tenant, { cpuMillis: 500 });
      const cgroup = await manager.ensureSandbox(tenant, 'sbx_1', { cpuMillis: 800 });
      await cgroup.setLimits({ cpuMillis: 200 });
      await cgroup.setLimits({ cpuQuota: { quotaUs: 90_000, periodUs: 100_000 } });
    });

    it('tells all figures of what runs', async () => {
      const cgroup = await manager.ensureSandbox(tenant, 'sbx_1', { memoryBytes: 64 * MIB, pids: 9, cpuMillis: 500 });
      // On version 2 what a process brought along stays its old cgroup's: it takes memory here.
      startIn(cgroup, 'a=x; i=0; while [ $i -lt 16 ]; do a=$a$a; i=$((i+1)); done; while :; do i=$((i+1)); done');
      await until('it has run for a tick', async () => (await cgroup.figures()).cpu.userNs > 0 && (await cgroup.figures()).memory.usageBytes > 0);
      const { cpu, memory, pids } = await cgroup.figures();
      expect(cpu.totalNs).toBeGreaterThan(0);
      expect(memory).toMatchObject({ limitBytes: 64 * MIB, failures: 0 });
      expect(memory.usageBytes).toBeGreaterThan(0);
      expect(Object.keys(memory.counters).length).toBeGreaterThan(10);
      expect(pids).toEqual({ current: 1, limit: 9 });
      expect((await (await manager.ensureSandbox(tenant, 'sbx_2', {})).figures()).pids.limit).toBe(Infinity);
    });

    it('raises and lowers limits', async () => {
      const cgroup = await manager.ensureSandbox(tenant, 'sbx_1', { memoryBytes: 64 * MIB });
      for (const memoryBytes of [128 * MIB, 32 * MIB, 256 * MIB]) await cgroup.setLimits({ memoryBytes, pids: 7, cpuMillis: 1500 });
    });

    it('counts, freezes, thaws and kills its processes, and is not removed while they live', async () => {
      const cgroup = await manager.ensureSandbox(tenant, 'sbx_1', {});
      const child = startIn(cgroup, 'i=0; while :; do i=$((i+1)); done');
      await until('the process joined', () => joined(cgroup, child));
      expect((await cgroup.usage()).pids).toBe(1);
      await expect(cgroup.remove()).rejects.toMatchObject({ code: 'failed_precondition' });
      await cgroup.freeze();
      const frozenAt = (await cgroup.usage()).cpuTimeUs;
      await sleep(60);
      expect((await cgroup.usage()).cpuTimeUs - frozenAt).toBeLessThan(5_000);
      await cgroup.thaw();
      await until('it runs on', async () => (await cgroup.usage()).cpuTimeUs > frozenAt + 10_000);
      await cgroup.freeze();
      await cgroup.kill();
      await endOf(child);
      expect(await cgroup.pids()).toEqual([]);
      await cgroup.remove();
    });

    it('kills a fork bomb', async () => {
      const cgroup = await manager.ensureSandbox(tenant, 'sbx_1', { pids: 60 });
      const child = startIn(cgroup, 'f() { f & f & }; while :; do f; done');
      await until('it is full', async () => (await cgroup.usage()).pids >= 50);
      await cgroup.kill();
      expect(await cgroup.pids()).toEqual([]);
      await endOf(child);
      await cgroup.remove();
    });

    it('lets the kernel kill what is beyond the memory limit, counts it and knows the peak', async () => {
      const cgroup = await manager.ensureSandbox(tenant, 'sbx_1', { memoryBytes: 24 * MIB });
      const child = startIn(cgroup, 'x=0123456789abcdef; while :; do x=$x$x; done');
      await endOf(child);
      const usage = await cgroup.usage();
      expect(usage.oomKills).toBeGreaterThan(0);
      expect(usage.memoryPeakBytes).toBeGreaterThan(16 * MIB);
      expect(usage.memoryPeakBytes).toBeLessThanOrEqual(24 * MIB);
      await cgroup.resetPeak();
      expect((await cgroup.usage()).memoryPeakBytes).toBeLessThanOrEqual(usage.memoryPeakBytes);
    });

    it('holds the share of a CPU', async () => {
      const cgroup = await manager.ensureSandbox(tenant, 'sbx_1', { cpuMillis: 200 });
      startIn(cgroup, 'while :; do :; done');
      await until('it runs', async () => (await cgroup.usage()).cpuTimeUs > 0);
      const before = (await cgroup.usage()).cpuTimeUs;
      await sleep(1_000);
      const used = (await cgroup.usage()).cpuTimeUs - before;
      expect(used).toBeLessThan(350_000);
    });

    it('sweeps empty leftovers when it is prepared again, and leaves those that live', async () => {
      await manager.ensureSandbox(tenant, 'sbx_dead', {});
      const live = await manager.ensureSandbox(tenant, 'sbx_live', {});
      const child = startIn(live, 'sleep 60');
      await until('it joined', async () => (await live.pids()).length > 0);
      await expect(manager.removeAll()).rejects.toMatchObject({ code: 'failed_precondition' });
      await (await factory()).prepare();
      expect(await manager.list()).toEqual([{ tenantId: tenant, sandboxId: 'sbx_live' }]);
      expect(await readFile(`/proc/${child.pid!}/cgroup`, 'utf8')).toContain('sbx_live');
    });
  });
}
