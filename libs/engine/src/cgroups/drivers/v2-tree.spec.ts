import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { TreeCgroupManager } from './tree-manager.js';
import { V2Tree } from './v2-tree.js';

/** A folder that looks like a cgroup2 mount: shows what the driver writes, not what a kernel makes of it. */
describe('the v2 driver’s files', () => {
  let mount: string;
  let manager: TreeCgroupManager;
  const at = (...names: string[]): string => join(mount, ...names);
  const read = (...names: string[]): Promise<string> => readFile(at(...names), 'utf8');

  async function plant(dir: string, files: Record<string, string>): Promise<void> {
    await mkdir(dir, { recursive: true });
    for (const [name, content] of Object.entries(files)) await writeFile(join(dir, name), content);
  }

  beforeEach(async () => {
    mount = await mkdtemp(join(tmpdir(), 'cgroup2-'));
    manager = new TreeCgroupManager(new V2Tree(mount), 'sandbar');
    const parent = { 'cgroup.subtree_control': '', 'cgroup.procs': '' };
    await plant(mount, { ...parent, 'cgroup.controllers': 'cpuset cpu io memory pids\n' });
    const controllers = { 'cgroup.controllers': 'cpuset cpu io memory pids\n' };
    await plant(at('sandbar'), { ...parent, ...controllers, 'cpuset.cpus.effective': '0-3\n', 'cpuset.mems.effective': '0\n', 'io.weight': 'default 100\n' });
    await plant(at('sandbar/ten_a'), { ...parent, ...controllers, 'memory.max': 'max' });
    await plant(at('sandbar/ten_a/sbx_1'), {
      'cgroup.procs': '',
      'memory.max': 'max',
      'memory.swap.max': 'max',
      'memory.oom.group': '1',
      'memory.current': '4096\n',
      'memory.peak': '8192\n',
      'memory.events': 'low 0\noom 2\noom_kill 1\n',
      'pids.max': 'max',
      'pids.current': '3\n',
      'cpu.max': 'max 100000',
      'cpu.weight': '100',
      'cpu.stat': 'usage_usec 1234\nuser_usec 1000\nsystem_usec 234\nnr_periods 9\nnr_throttled 2\nthrottled_usec 5\n',
      'memory.low': '0',
      'memory.stat': 'anon 2048\ninactive_file 512\n',
      'cpuset.cpus': '',
      'cpuset.mems': '',
      'io.weight': 'default 100',
      'io.stat': '8:0 rbytes=10 wbytes=20 rios=1 wios=2 dbytes=0 dios=0\n',
    });
  });

  afterEach(() => rm(mount, { recursive: true, force: true }));

  it('switches the controllers on, from the mount down to the tenant', async () => {
    await manager.ensureTenant('ten_a', { memoryBytes: 1024 });
    await new V2Tree(mount).prepareRoot('/sandbar');
    for (const dir of ['.', 'sandbar', 'sandbar/ten_a']) expect(await read(dir, 'cgroup.subtree_control')).toBe('+cpu +memory +pids +cpuset +io');
    expect(await read('sandbar/ten_a/memory.max')).toMatch(/^1024/);
  });

  it('says which controllers are missing', async () => {
    await writeFile(at('cgroup.controllers'), 'cpuset hugetlb\n');
    await expect(new V2Tree(mount).prepareRoot('/sandbar')).rejects.toMatchObject({ code: 'unsupported', details: { missing: ['cpu', 'memory', 'pids'] } });
  });

  it('writes limits without swap, and joins no processes to a common fate', async () => {
    await manager.ensureSandbox('ten_a', 'sbx_1', { memoryBytes: 67108864, pids: 32, cpuMillis: 1500, cpuWeight: 250 });
    const dir = 'sandbar/ten_a/sbx_1';
    expect(await read(dir, 'memory.max')).toBe('67108864');
    expect(await read(dir, 'memory.swap.max')).toMatch(/^0/);
    expect(await read(dir, 'memory.oom.group')).toBe('0');
    expect(await read(dir, 'pids.max')).toMatch(/^32/);
    expect(await read(dir, 'cpu.max')).toBe('150000 100000');
    expect(await read(dir, 'cpu.weight')).toBe('250');
  });

  it('writes what containers ask for beside: quota and period, shares as a weight, a reservation, cpusets and the weight of block I/O', async () => {
    const cgroup = await manager.ensureSandbox('ten_a', 'sbx_1', { cpuQuota: { quotaUs: 5000, periodUs: 20000 }, cpuShares: 1024, memoryReservationBytes: 4096, cpusetCpus: '0-1', cpusetMems: '0', blkioWeight: 500 });
    const dir = 'sandbar/ten_a/sbx_1';
    const written = (file: string): Promise<string> => read(dir, file);
    expect(await written('cpu.max')).toBe('5000 20000');
    expect(await written('cpu.weight')).toMatch(/^39/);
    expect(await written('memory.low')).toBe('4096');
    expect(await written('cpuset.cpus')).toBe('0-1');
    expect(await written('io.weight')).toMatch(/^4950/);
    await cgroup.setLimits({ cpuShares: 262144, cpuQuota: { quotaUs: -1, periodUs: 100000 }, memoryReservationBytes: 0 });
    expect(await written('cpu.weight')).toBe('10000');
    expect(await written('cpu.max')).toMatch(/^max 100000/);
  });

  it('knows what the kernel has', async () => {
    expect(await manager.features()).toEqual({ cpuset: { cpus: '0-3', mems: '0' }, blkioWeight: true });
    await rm(at('sandbar/io.weight'));
    await rm(at('sandbar/cpuset.cpus.effective'));
    expect(await manager.features()).toEqual({ cpuset: undefined, blkioWeight: false });
    await rm(at('sandbar/ten_a/sbx_1/cpuset.cpus'));
    await expect(manager.ensureSandbox('ten_a', 'sbx_1', { cpusetCpus: '0' })).rejects.toMatchObject({ code: 'unsupported' });
  });

  it('reads all figures', async () => {
    await writeFile(at('sandbar/ten_a/sbx_1/memory.events'), 'low 0\nmax 4\noom_kill 1\n');
    expect(await manager.sandbox('ten_a', 'sbx_1').figures()).toEqual({
      cpu: { totalNs: 1_234_000, userNs: 1_000_000, kernelNs: 234_000 },
      throttling: { periods: 9, throttledPeriods: 2, throttledNs: 5000 },
      memory: { usageBytes: 4096, limitBytes: Infinity, peakBytes: 8192, failures: 4, counters: { anon: 2048, inactive_file: 512 } },
      pids: { current: 3, limit: Infinity },
      io: [{ major: 8, minor: 0, readBytes: 10, writtenBytes: 20, reads: 1, writes: 2 }],
    });
  });

  it('reads usage', async () => {
    const cgroup = manager.sandbox('ten_a', 'sbx_1');
    expect(cgroup.joinFiles).toEqual([at('sandbar/ten_a/sbx_1/cgroup.procs')]);
    expect(await cgroup.usage()).toEqual({ cpuTimeUs: 1234, memoryBytes: 4096, memoryPeakBytes: 8192, oomKills: 1, pids: 3 });
  });

  it('does without memory.peak and memory.swap.max where the kernel has none', async () => {
    await rm(at('sandbar/ten_a/sbx_1/memory.peak'));
    await rm(at('sandbar/ten_a/sbx_1/memory.swap.max'));
    const cgroup = await manager.ensureSandbox('ten_a', 'sbx_1', { memoryBytes: 1024 });
    expect((await cgroup.usage()).memoryPeakBytes).toBe(4096);
    await cgroup.resetPeak();
  });
});
