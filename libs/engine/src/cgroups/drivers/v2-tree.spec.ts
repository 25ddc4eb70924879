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
    await plant(at('sandbar'), parent);
    await plant(at('sandbar/ten_a'), { ...parent, 'memory.max': 'max' });
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
      'cpu.stat': 'usage_usec 1234\nuser_usec 1000\n',
    });
  });

  afterEach(() => rm(mount, { recursive: true, force: true }));

  it('switches the controllers on, from the mount down to the tenant', async () => {
    await manager.ensureTenant('ten_a', { memoryBytes: 1024 });
    await new V2Tree(mount).prepareRoot('/sandbar');
    for (const dir of ['.', 'sandbar', 'sandbar/ten_a']) expect(await read(dir, 'cgroup.subtree_control')).toBe('+cpu +memory +pids');
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
