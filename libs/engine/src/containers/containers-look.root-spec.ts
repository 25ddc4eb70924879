import { setTimeout as sleep } from 'node:timers/promises';
import type { TenantId } from '#kernel';
import type { ContainerStats, CreateContainer } from './index.js';
import { openContainerHost, type ContainerHost } from './testing/container-host.js';
import { containerOf, describeLeftovers, logText, NEVER } from './testing/container-requests.js';

const MIB = 1024 * 1024;

describe('looking into containers', () => {
  let host: ContainerHost;
  let tenant: TenantId;

  beforeAll(async () => {
    host = await openContainerHost('look');
    tenant = await host.newTenant();
    await host.importImage(tenant, 'busybox', ':', { Cmd: ['sh'] });
  }, 120_000);
  afterAll(async () => {
    await host.containers.drop(tenant);
    expect(await describeLeftovers(host, [tenant])).toEqual([]);
    await host.dispose();
  }, 60_000);

  async function run(script: string, more: Partial<CreateContainer> = {}, process: Partial<CreateContainer['process']> = {}): Promise<string> {
    const { id } = await host.containers.create(tenant, containerOf([], { ...more, process: { ...containerOf([]).process, cmd: ['sh', '-c', script], ...process } }));
    await host.containers.start(tenant, id);
    while (!(await logText(host, tenant, id)).includes('up')) await sleep(20);
    return id;
  }

  it('shows its processes by their own numbers, the main one first and as 1, and nobody else', async () => {
    const id = await run('sleep 77 & sh -c "sleep 88 & echo up; wait"; true', {}, { user: 'app' });
    const { titles, processes } = await host.containers.top(tenant, id, '');
    expect(titles).toEqual(['UID', 'PID', 'PPID', 'C', 'STIME', 'TTY', 'TIME', 'CMD']);
    expect(processes.map((row) => [row[0], row.at(-1)])).toEqual([
      ['app', expect.stringMatching(/^sh -c sleep 77 &/)],
      ['app', 'sleep 77'],
      ['app', 'sh -c sleep 88 & echo up; wait'],
      ['app', 'sleep 88'],
    ]);
    expect(processes[0]).toMatchObject(['app', '1', '0', '0', expect.stringMatching(/^\d\d:\d\d$/), '?', '00:00:00', expect.any(String)]);
    expect(processes[1]![2]).toBe('1');
    expect(processes[3]![2]).toBe(processes[2]![1]);
    expect(processes.every(([, pid]) => Number(pid) < 100)).toBe(true);
    await host.containers.pause(tenant, id);
    expect((await host.containers.top(tenant, id, '-o pid,user,args')).processes[0]).toEqual(['1', '1000', expect.stringMatching(/^sh/)]);
    await host.containers.unpause(tenant, id);
    await host.containers.remove(tenant, id, { force: true, volumes: false });
    await expect(host.containers.top(tenant, id, '')).rejects.toMatchObject({ code: 'not_found' });
  });

  it('shows terminals, states and orphans', async () => {
    const id = await run('(sleep 99 &) ; echo up; sleep 98; true', {}, { tty: true });
    const { titles, processes } = await host.containers.top(tenant, id, 'aux');
    expect(titles).toEqual(['USER', 'PID', '%CPU', '%MEM', 'VSZ', 'RSS', 'TTY', 'STAT', 'START', 'TIME', 'COMMAND']);
    expect(processes.map((row) => row[6])).toEqual(['pts/0', 'pts/0', 'pts/0']);
    expect(processes[0]![7]).toBe('Ss+');
    expect((await host.containers.top(tenant, id, '-eo pid,ppid,comm')).processes.find(([, , name]) => name === 'sleep')![1]).toBe('1');
    await host.containers.remove(tenant, id, { force: true, volumes: false });
  });

  it('says what cannot be shown, and of what does not run', async () => {
    const id = await run('echo up');
    await host.containers.wait(tenant, id, 'not-running', NEVER);
    await expect(host.containers.top(tenant, id, '')).rejects.toMatchObject({ code: 'conflict', message: `container ${id} is not running` });
    await host.containers.remove(tenant, id, { force: false, volumes: false });
  });

  async function look(id: string, count: number, once = false): Promise<ContainerStats[]> {
    const quit = new AbortController();
    const seen: ContainerStats[] = [];
    for await (const stats of host.containers.stats(tenant, id, { once }, quit.signal)) if (seen.push(stats) === count) break;
    return seen;
  }

  it('counts what it uses, one look for all who watch', async () => {
    const id = await run('echo up; while :; do :; done', { limits: { memoryBytes: 32 * MIB, pids: 10 } });
    const [one, other] = await Promise.all([look(id, 2), look(id, 2)]);
    expect(other).toEqual(one);
    expect(one[1]!.cpu.totalNs).toBeGreaterThan(one[0]!.cpu.totalNs);
    expect(one[1]!.cpu.systemNs).toBeGreaterThan(one[0]!.cpu.systemNs);
    expect(one[0]).toMatchObject({ id, memory: { limitBytes: 32 * MIB }, pids: { current: 1, limit: 10 }, networks: {} });
    expect(one[0]!.cpu.onlineCpus).toBeGreaterThan(0);
    expect(one[0]!.memory.usageBytes).toBeGreaterThan(0);
    await host.containers.stop(tenant, id, { timeoutSeconds: 0 });
    await sleep(1000);
    expect(await look(id, 1, true)).toMatchObject([{ readAt: 0, cpu: { totalNs: 0 }, memory: { usageBytes: 0 } }]);
    const watching = look(id, 100);
    await host.containers.remove(tenant, id, { force: false, volumes: false });
    expect((await watching).every(({ readAt }) => readAt === 0)).toBe(true);
  });
});
