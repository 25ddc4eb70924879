import { readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import type { TenantId } from '#kernel';
import type { ContainerResources, CreateContainer } from './index.js';
import { openContainerHost, type ContainerHost } from './testing/container-host.js';
import { containerOf, describeLeftovers, logText, NEVER } from './testing/container-requests.js';

const MIB = 1024 * 1024;
const CPUS = availableParallelism();

describe('limits of containers', () => {
  let host: ContainerHost;
  let tenant: TenantId;

  beforeAll(async () => {
    host = await openContainerHost('limits');
    tenant = await host.newTenant();
    await host.importImage(tenant, 'busybox', ':', { Cmd: ['sh'] });
  }, 120_000);
  afterAll(async () => {
    await host.containers.drop(tenant);
    expect(await describeLeftovers(host, [tenant])).toEqual([]);
    await host.dispose();
  }, 60_000);

  async function run(more: Partial<CreateContainer>): Promise<string> {
    const { id } = await host.containers.create(tenant, containerOf(['sleep', '100'], more));
    await host.containers.start(tenant, id);
    return id;
  }

  /** What the kernel has of it, whatever the version. */
  async function figures(id: string): Promise<{ memoryBytes: number; pids: number; cpus: string }> {
    const { sandboxId } = await host.containers.get(tenant, id);
    const cgroup = host.cgroups.sandbox(tenant, sandboxId!);
    const { memory, pids } = await cgroup.figures();
    const [pid] = await cgroup.pids();
    const cpus = /^Cpus_allowed_list:\s*(\S+)$/m.exec(readFileSync(`/proc/${pid!}/status`, 'latin1'))![1]!;
    return { memoryBytes: memory.limitBytes, pids: pids.limit, cpus };
  }

  it('are those of its cgroup, and changed while it runs, within the bounds of its tenant', async () => {
    const id = await run({ limits: { memoryBytes: 32 * MIB, pids: 20, cpusetCpus: '0', memoryReservationBytes: 16 * MIB, cpuShares: 512, cpuPeriodUs: 50_000, cpuQuotaUs: 25_000 } });
    expect(await figures(id)).toEqual({ memoryBytes: 32 * MIB, pids: 21, cpus: '0' });
    const { warnings } = await host.containers.update(tenant, id, { limits: { memoryBytes: 48 * MIB, pids: 30, cpusetCpus: `0-${CPUS - 1}`, cpuQuotaUs: 50_000 } });
    expect(warnings).toEqual([]);
    expect(await figures(id)).toEqual({ memoryBytes: 48 * MIB, pids: 31, cpus: CPUS === 1 ? '0' : `0-${CPUS - 1}` });
    expect((await host.containers.get(tenant, id)).request.limits).toMatchObject({ memoryBytes: 48 * MIB, memorySwapBytes: 64 * MIB, pids: 30, cpuPeriodUs: 50_000, cpuQuotaUs: 50_000, memoryReservationBytes: 16 * MIB });
    await host.containers.restart(tenant, id, { timeoutSeconds: 0 });
    expect(await figures(id)).toMatchObject({ memoryBytes: 48 * MIB, pids: 31 });
    await host.containers.update(tenant, id, { limits: { pids: -1 } });
    expect((await figures(id)).pids).toBeGreaterThan(4096);
    await host.containers.remove(tenant, id, { force: true, volumes: false });
  });

  it('are kept of one that does not run', async () => {
    const { id } = await host.containers.create(tenant, containerOf(['sleep', '100'], { limits: { memoryBytes: 32 * MIB } }));
    await host.containers.update(tenant, id, { limits: { memoryBytes: 16 * MIB } });
    await host.restart();
    await host.containers.start(tenant, id);
    expect(await figures(id)).toMatchObject({ memoryBytes: 16 * MIB });
    await host.containers.remove(tenant, id, { force: true, volumes: false });
  });

  it('stay all as they were when one of the new ones cannot be had', async () => {
    const big = await run({ limits: { memoryBytes: 64 * MIB, shmBytes: 40 * MIB }, process: { ...containerOf([]).process, cmd: ['sh', '-c', 'dd if=/dev/zero of=/dev/shm/full bs=1M count=20; echo full; sleep 100'] } });
    while (!(await logText(host, tenant, big)).includes('full\n')) await new Promise((resolve) => setTimeout(resolve, 20));
    const lowered = host.containers.update(tenant, big, { limits: { memoryBytes: 7 * MIB, pids: 5 } });
    // Version 1 refuses to go below what cannot be reclaimed, version 2 takes the limit and kills.
    if (host.cgroups.mode === 'v2') await lowered;
    else {
      await expect(lowered).rejects.toMatchObject({ message: expect.stringMatching(`^Cannot update container ${big}: `) as string });
      expect(await figures(big)).toMatchObject({ memoryBytes: 64 * MIB, pids: 65 });
      expect((await host.containers.get(tenant, big)).request.limits).toMatchObject({ memoryBytes: 64 * MIB });
    }
    await host.containers.remove(tenant, big, { force: true, volumes: false });
  });

  it.each<[ContainerResources, string]>([
    [{ memoryBytes: 5 * MIB }, 'Minimum memory limit allowed is 6MB'],
    [{ memoryBytes: 32 * MIB, memorySwapBytes: 16 * MIB }, 'Minimum memoryswap limit should be larger than memory limit, see usage'],
    [{ memorySwapBytes: 16 * MIB }, 'You should always set the Memory limit when using Memoryswap limit, see usage'],
    [{ memoryReservationBytes: 1 }, 'Minimum memory reservation allowed is 6MB'],
    [{ memoryBytes: 8 * MIB, memoryReservationBytes: 16 * MIB }, 'Minimum memory limit can not be less than memory reservation limit, see usage'],
    [{ cpuMillis: CPUS * 1000 + 1 }, `Range of CPUs is from 0.01 to ${CPUS}.00, as there are only ${CPUS} CPUs available`],
    [{ cpuMillis: 10, cpuQuotaUs: 1000 }, 'Conflicting options: Nano CPUs and CPU Quota cannot both be set'],
    [{ cpuMillis: 10, cpuPeriodUs: 1000 }, 'Conflicting options: Nano CPUs and CPU Period cannot both be set'],
    [{ cpuPeriodUs: 10 }, 'CPU cfs period can not be less than 1ms (i.e. 1000) or larger than 1s (i.e. 1000000)'],
    [{ cpuQuotaUs: 10 }, 'CPU cfs quota can not be less than 1ms (i.e. 1000)'],
    [{ cpusetCpus: '0-x' }, 'Invalid value 0-x for cpuset cpus'],
    [{ cpusetMems: '77' }, 'Requested memory nodes are not available - requested 77, available: 0'],
    [{ blkioWeight: 5 }, 'Range of blkio weight is from 10 to 1000'],
  ])('%j are refused', async (limits, message) => {
    await expect(host.containers.create(tenant, containerOf(['true'], { limits }))).rejects.toMatchObject({ code: 'invalid_argument', message });
  });

  it('name the processors that there are', async () => {
    const { cpuset } = await host.cgroups.features();
    await expect(host.containers.create(tenant, containerOf(['true'], { limits: { cpusetCpus: '777' } }))).rejects.toMatchObject({
      code: 'invalid_argument',
      message: `Requested CPUs are not available - requested 777, available: ${cpuset?.cpus ?? ''}`,
    });
  });

  it.each<[ContainerResources, ContainerResources, string]>([
    [{ memoryBytes: 8 * MIB }, { memoryBytes: 17 * MIB }, 'Memory limit should be smaller than already set memoryswap limit, update the memoryswap at the same time'],
    [{}, { memoryBytes: 8 * MIB }, 'Memory limit should be smaller than already set memoryswap limit, update the memoryswap at the same time'],
    [{ cpuPeriodUs: 10_000 }, { cpuMillis: 100 }, 'Conflicting options: Nano CPUs cannot be updated as CPU Period has already been set'],
    [{ cpuQuotaUs: 10_000 }, { cpuMillis: 100 }, 'Conflicting options: Nano CPUs cannot be updated as CPU Quota has already been set'],
    [{ cpuMillis: 100 }, { cpuPeriodUs: 10_000 }, 'Conflicting options: CPU Period cannot be updated as NanoCPUs has already been set'],
    [{ cpuMillis: 100 }, { cpuQuotaUs: 10_000 }, 'Conflicting options: CPU Quota cannot be updated as NanoCPUs has already been set'],
  ])('%j are not updated by %j', async (limits, change, message) => {
    const { id } = await host.containers.create(tenant, containerOf(['true'], { limits }));
    await expect(host.containers.update(tenant, id, { limits: change })).rejects.toMatchObject({ code: 'conflict', message: `Cannot update container ${id}: ${message}` });
    await host.containers.remove(tenant, id, { force: false, volumes: false });
  });

  it('warn of what has no effect', async () => {
    const { blkioWeight } = await host.cgroups.features();
    const { id, warnings } = await host.containers.create(tenant, containerOf(['true'], { limits: { memoryBytes: 16 * MIB, memorySwapBytes: -1, blkioWeight: 300 } }));
    const expected = ['Your kernel does not support swap limit capabilities or the cgroup is not mounted. Memory limited without swap.'];
    if (!blkioWeight) expected.push('Your kernel does not support Block I/O weight or the cgroup is not mounted. Weight discarded.');
    expect(warnings).toEqual(expected);
    await host.containers.update(tenant, id, { limits: { memoryBytes: 512 * MIB } });
    await host.containers.remove(tenant, id, { force: false, volumes: false });
  });

  it('give groups, no new privileges, and no shared memory where that is asked for', async () => {
    const script = 'id -G; grep NoNewPrivs /proc/self/status; ls /dev | grep -c shm';
    const { id } = await host.containers.create(tenant, containerOf([], { process: { ...containerOf([]).process, cmd: ['sh', '-c', script], groups: ['staff', '4242'] }, noNewPrivileges: true, withoutShm: true }));
    await host.containers.start(tenant, id);
    await host.containers.wait(tenant, id, 'not-running', NEVER);
    expect(await logText(host, tenant, id)).toBe('0 50 4242\nNoNewPrivs:\t1\n0\n');
    await host.containers.remove(tenant, id, { force: false, volumes: false });
  });

  it('give settings of its own name spaces, and what the killer is told', async () => {
    const script = 'cat /proc/sys/kernel/msgmax /proc/sys/fs/mqueue/msg_max /proc/sys/net/core/somaxconn; cat /proc/self/oom_score_adj; ulimit -Sn; ulimit -Hn';
    const process = { ...containerOf([]).process, cmd: ['sh', '-c', script], ulimits: { nofile: { soft: 100, hard: 200 } } };
    const { id } = await host.containers.create(tenant, containerOf([], { process, sysctls: { 'kernel.msgmax': '4321', 'fs.mqueue.msg_max': '20', 'net.core.somaxconn': '77' }, limits: { oomScoreAdj: 700 } }));
    await host.containers.start(tenant, id);
    await host.containers.wait(tenant, id, 'not-running', NEVER);
    expect(await logText(host, tenant, id)).toBe('4321\n20\n77\n700\n100\n200\n');
    await host.containers.remove(tenant, id, { force: false, volumes: false });
    const favoured = (await host.containers.create(tenant, containerOf(['cat', '/proc/self/oom_score_adj'], { limits: { oomScoreAdj: -900 } }))).id;
    await host.containers.start(tenant, favoured);
    await host.containers.wait(tenant, favoured, 'not-running', NEVER);
    expect(Number(await logText(host, tenant, favoured))).toBeGreaterThanOrEqual(Number(readFileSync('/proc/self/oom_score_adj', 'latin1')));
    await host.containers.remove(tenant, favoured, { force: false, volumes: false });
  });

  it.each([
    ['kernel.panic', 'is not in a separate kernel namespace'],
    ['net../../kernel.panic', 'is not in a separate kernel namespace'],
    ['vm.swappiness', 'is not in a separate kernel namespace'],
    ['net.core.somaxconn', 'has an invalid value'],
  ])('give no setting %s of the node', async (name, message) => {
    await expect(host.containers.create(tenant, containerOf(['true'], { sysctls: { [name]: '1\n2' } }))).rejects.toMatchObject({ code: 'invalid_argument', message: expect.stringContaining(message) as string });
  });
});
