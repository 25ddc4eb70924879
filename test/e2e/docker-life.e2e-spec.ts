import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { startPlatform, type DockerCli, type Platform } from '#testing';
import { stopAndExpectNothingLeft } from './nothing-left.js';

const MiB = 1024 * 1024;
const FOREVER = ['sh', '-c', 'trap "exit 0" TERM; echo up; while :; do sleep 0.1; done'];

interface Inspected {
  readonly State: { readonly Status: string; readonly ExitCode: number; readonly OOMKilled: boolean; readonly Restarting: boolean; readonly Running: boolean; readonly Health?: { readonly Status: string; readonly FailingStreak: number; readonly Log: readonly { readonly ExitCode: number; readonly Output: string }[] } };
  readonly RestartCount: number;
  readonly HostConfig: Readonly<Record<string, unknown>>;
  readonly Config: Readonly<Record<string, unknown>>;
}

/** The life of containers by Docker's own client, for two tenants of one platform at the same time. */
describe('docker: the life of containers', () => {
  let platform: Platform;
  let tenants: { readonly id: string; readonly docker: DockerCli }[];

  beforeAll(async () => {
    platform = await startPlatform();
    tenants = await Promise.all(
      ['anna', 'bert'].map(async (name) => {
        const { id, apiKey } = await platform.newTenant(name);
        return { id, docker: await platform.docker(apiKey) };
      }),
    );
    await Promise.all(tenants.map(({ docker }) => docker.ok('pull', '-q', 'busybox')));
  }, 120_000);
  afterAll(async () => {
    await Promise.all(tenants.map(({ docker }) => docker.close()));
    await stopAndExpectNothingLeft(platform);
  }, 120_000);

  const byBoth = (lines: (docker: DockerCli, tenantId: string) => Promise<void>) => async (): Promise<void> => {
    await Promise.all(tenants.map(({ docker, id }) => lines(docker, id)));
  };

  const inspect = async (docker: DockerCli, name: string): Promise<Inspected> => (await docker.json<Inspected[]>('inspect', name))[0]!;

  async function until(docker: DockerCli, name: string, condition: (container: Inspected) => boolean): Promise<Inspected> {
    for (let attempt = 0; attempt < 150; attempt += 1) {
      // A node that is just coming back answers later.
      const { exitCode, stdout } = await docker.run(['inspect', name]);
      const [container] = exitCode === 0 ? (JSON.parse(stdout) as Inspected[]) : [];
      if (container !== undefined && condition(container)) return container;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    throw new Error(`never: ${JSON.stringify((await inspect(docker, name)).State)}`);
  }

  /** Of the only container that the tenant runs. */
  function cgroupFile(tenantId: string, v1: readonly [controller: string, name: string], v2: string): string {
    const isV2 = existsSync('/sys/fs/cgroup/cgroup.controllers');
    const mount = isV2 ? '/sys/fs/cgroup' : join('/sys/fs/cgroup', v1[0]);
    const parents = readdirSync(mount).map((root) => join(mount, root, tenantId)).filter((dir) => existsSync(dir));
    const dirs = parents.flatMap((dir) => readdirSync(dir).filter((name) => name.startsWith('sbx_')).map((name) => join(dir, name)));
    if (dirs.length !== 1) throw new Error(`${dirs.length} sandboxes of ${tenantId}`);
    return readFileSync(join(dirs[0]!, isV2 ? v2 : v1[1]), 'utf8').trim();
  }

  it('updates limits of what runs, visibly in its cgroup, and refuses with the words of the engine', byBoth(async (docker, tenantId) => {
    await docker.ok('run', '-d', '--name', 'limited', '-m', '64m', '--cpus', '0.5', '--pids-limit', '50', 'busybox', ...FOREVER);
    expect(cgroupFile(tenantId, ['memory', 'memory.limit_in_bytes'], 'memory.max')).toBe(String(64 * MiB));
    await docker.ok('update', '-m', '96m', '--memory-reservation', '32m', '--pids-limit', '60', '--cpu-shares', '512', '--cpuset-cpus', '0', '--cpuset-mems', '0', 'limited');
    expect(cgroupFile(tenantId, ['memory', 'memory.limit_in_bytes'], 'memory.max')).toBe(String(96 * MiB));
    expect(cgroupFile(tenantId, ['memory', 'memory.soft_limit_in_bytes'], 'memory.low')).toBe(String(32 * MiB));
    expect(cgroupFile(tenantId, ['pids', 'pids.max'], 'pids.max')).toBe('61');
    expect(cgroupFile(tenantId, ['cpuset', 'cpuset.cpus'], 'cpuset.cpus')).toBe('0');
    expect(cgroupFile(tenantId, ['cpu', 'cpu.shares'], 'cpu.weight')).toMatch(/^(512|20)$/);
    expect(await docker.ok('exec', 'limited', 'grep', 'Cpus_allowed_list', '/proc/self/status')).toMatch(/\s0$/);
    await docker.ok('update', '--cpus', '0.8', 'limited');
    expect(cgroupFile(tenantId, ['cpu', 'cpu.cfs_quota_us'], 'cpu.max')).toMatch(/^80000/);
    const { HostConfig } = await inspect(docker, 'limited');
    expect(HostConfig).toMatchObject({ Memory: 96 * MiB, MemorySwap: 128 * MiB, MemoryReservation: 32 * MiB, NanoCpus: 800_000_000, PidsLimit: 60, CpuShares: 512, CpusetCpus: '0', CpusetMems: '0' });
    expect(await docker.fails('update', '-m', '256m', 'limited')).toMatch(/Cannot update container [0-9a-f]{64}: Memory limit should be smaller than already set memoryswap limit, update the memoryswap at the same time/);
    expect(await docker.ok('update', '-m', '256m', '--memory-swap', '-1', 'limited')).toMatch(/limited/);
    expect(await docker.fails('update', '-m', '5m', 'limited')).toMatch(/Minimum memory limit allowed is 6MB/);
    expect(await docker.fails('update', '--cpuset-cpus', '4000', 'limited')).toMatch(/Requested CPUs are not available - requested 4000, available: 0/);
    expect(await docker.fails('update', '--cpu-quota', '5000', 'limited')).toMatch(/CPU Quota cannot be updated as NanoCPUs has already been set/);
    expect(await docker.fails('create', '--cpus', '4000', 'busybox')).toMatch(/Range of CPUs is from 0\.01 to \d+\.00, as there are only \d+ CPUs available/);
    await docker.ok('rm', '-f', 'limited');
  }), 60_000);

  it('starts again by its policy, later each time, until it is stopped', byBoth(async (docker) => {
    await docker.ok('run', '-d', '--name', 'retry', '--restart', 'on-failure:2', 'busybox', 'sh', '-c', 'echo run; exit 3');
    expect(await until(docker, 'retry', ({ State }) => State.Status === 'exited')).toMatchObject({ RestartCount: 2, State: { ExitCode: 3 }, HostConfig: { RestartPolicy: { Name: 'on-failure', MaximumRetryCount: 2 } } });
    expect(await docker.ok('logs', 'retry')).toBe('run\nrun\nrun');
    await docker.ok('run', '-d', '--name', 'phoenix', '--restart', 'always', 'busybox', 'false');
    expect(await until(docker, 'phoenix', ({ State, RestartCount }) => State.Restarting && RestartCount > 2)).toMatchObject({ State: { Status: 'restarting', Running: true } });
    expect(await docker.ok('ps', '--format', '{{.Names}} {{.Status}}')).toMatch(/^phoenix (Restarting \(1\) .* ago|Up .*)$/m);
    await docker.ok('stop', 'phoenix');
    expect((await inspect(docker, 'phoenix')).State.Status).toBe('exited');
    expect(await docker.fails('run', '-d', '--rm', '--restart', 'always', 'busybox', 'true')).toMatch(/restart/i);
    await docker.ok('update', '--restart', 'no', 'phoenix');
    expect((await inspect(docker, 'phoenix')).HostConfig['RestartPolicy']).toEqual({ Name: 'no', MaximumRetryCount: 0 });
    await docker.ok('rm', 'retry', 'phoenix');
  }), 60_000);

  it('shows health in ps, inspect and filters', byBoth(async (docker) => {
    const check = ['--health-cmd', 'test -e /tmp/well', '--health-interval', '200ms', '--health-retries', '2', '--health-timeout', '5s'];
    await docker.ok('run', '-d', '--name', 'patient', ...check, 'busybox', ...FOREVER);
    const ill = await until(docker, 'patient', ({ State }) => State.Health?.Status === 'unhealthy');
    expect(ill.State.Health!.FailingStreak).toBeGreaterThanOrEqual(2);
    expect(ill.State.Health!.Log[0]).toMatchObject({ ExitCode: 1, Output: '' });
    expect(ill.Config['Healthcheck']).toMatchObject({ Test: ['CMD-SHELL', 'test -e /tmp/well'], Interval: 200_000_000, Retries: 2 });
    await docker.ok('exec', 'patient', 'touch', '/tmp/well');
    await until(docker, 'patient', ({ State }) => State.Health?.Status === 'healthy');
    expect(await docker.ok('ps', '--filter', 'health=healthy', '--format', '{{.Names}} {{.Status}}')).toMatch(/^patient Up .* \(healthy\)$/);
    expect(await docker.ok('ps', '-q', '--filter', 'health=unhealthy')).toBe('');
    await docker.ok('rm', '-f', 'patient');
  }), 60_000);

  it('is looked into: top and stats', byBoth(async (docker) => {
    const name = 'watched';
    await docker.ok('run', '-d', '--name', name, '-m', '64m', 'busybox', 'sh', '-c', 'sleep 1000 & while :; do sleep 0.05; done');
    const top = (await docker.ok('top', name)).split('\n');
    expect(top[0]).toMatch(/^UID\s+PID\s+PPID\s+C\s+STIME\s+TTY\s+TIME\s+CMD/);
    expect(top[1]).toMatch(/^root\s+1\s+0\s.*sh -c sleep 1000/);
    expect(top.some((line) => /\s1\s.*sleep 1000$/.test(line))).toBe(true);
    expect(top.join('\n')).not.toMatch(/sandbar/);
    expect(await docker.ok('top', name, '-o', 'pid,comm')).toMatch(/^PID\s+COMMAND\n1\s+sh/);
    expect(await docker.fails('top', name, '-o', 'comm')).toMatch(/Couldn't find PID field in ps output/);
    const stats = JSON.parse(await docker.ok('stats', '--no-stream', '--format', '{{json .}}', name)) as Record<string, string>;
    expect(stats).toMatchObject({ Name: name, CPUPerc: expect.stringMatching(/^\d+\.\d+%$/) as string, MemUsage: expect.stringMatching(/ \/ 64MiB$/) as string, PIDs: expect.stringMatching(/^[23]$/) as string });
    await docker.ok('rm', '-f', name);
    expect(await docker.fails('top', name)).toMatch(/No such container/);
  }), 60_000);

  it('stops, kills, pauses and restarts, and says how it ended', byBoth(async (docker) => {
    await docker.ok('run', '-d', '--name', 'lively', '--stop-signal', 'USR1', 'busybox', 'sh', '-c', 'trap "exit 7" USR1; while :; do sleep 0.1; done');
    await docker.ok('pause', 'lively');
    expect(await docker.ok('ps', '--format', '{{.Status}}')).toMatch(/^Up .* \(Paused\)$/);
    expect(await docker.fails('exec', 'lively', 'true')).toMatch(/is paused/);
    expect(await docker.ok('top', 'lively')).toMatch(/trap/);
    await docker.ok('unpause', 'lively');
    await docker.ok('restart', '-t', '5', 'lively');
    expect(await inspect(docker, 'lively')).toMatchObject({ RestartCount: 0, State: { Status: 'running' } });
    await docker.ok('stop', 'lively');
    expect((await inspect(docker, 'lively')).State.ExitCode).toBe(7);
    await docker.ok('start', 'lively');
    await docker.ok('kill', 'lively');
    expect(await docker.ok('wait', 'lively')).toBe('137');
    expect(await docker.fails('kill', 'lively')).toMatch(/is not running/);
    expect(await docker.ok('ps', '-a', '--filter', 'exited=137', '--format', '{{.Status}}')).toMatch(/^Exited \(137\) .* ago$/);
    await docker.ok('run', '-d', '--name', 'greedy', '-m', '16m', 'busybox', 'sh', '-c', 'x=0123456789abcdef; while :; do x=$x$x; done');
    expect(await docker.ok('wait', 'greedy')).toBe('137');
    expect((await inspect(docker, 'greedy')).State.OOMKilled).toBe(true);
    await docker.ok('start', 'greedy');
    await docker.ok('wait', 'greedy');
    await docker.ok('rm', 'lively', 'greedy');
  }), 90_000);

  it.each([
    ['no program', 127, ['nothing-here']],
    ['no executable', 126, ['/etc/passwd']],
    ['its own code', 42, ['sh', '-c', 'exit 42']],
    ['a signal', 143, ['sh', '-c', 'kill -TERM $$']],
  ])('ends run with the exit code of %s: %i', async (_name, exitCode, command) => {
    const [{ docker }] = tenants as [(typeof tenants)[number]];
    expect((await docker.run(['run', '--rm', 'busybox', ...command])).exitCode).toBe(exitCode);
    expect((await docker.run(['run', '--rm', '--no-such-flag', 'busybox'])).exitCode).toBe(125);
  }, 30_000);

  it('gives what hardens a container, and what it may ask for', byBoth(async (docker) => {
    const script = 'id -G; grep NoNewPrivs /proc/self/status; ulimit -Sn; ulimit -Hn; cat /proc/sys/kernel/msgmax; cat /proc/self/oom_score_adj; touch /x 2>&1';
    const asked = ['--group-add', '4242', '--security-opt', 'no-new-privileges', '--ulimit', 'nofile=100:200', '--sysctl', 'kernel.msgmax=4321', '--oom-score-adj', '700', '--read-only', '--init', '--device', '/dev/zero'];
    const output = (await docker.run(['run', '--rm', ...asked, 'busybox', 'sh', '-c', script])).stdout;
    expect(output).toMatch(/4242\nNoNewPrivs:\t1\n100\n200\n4321\n700\n.*Read-only file system/);
    expect(await docker.fails('create', '--device', '/dev/sda', 'busybox')).toMatch(/error gathering device information while adding custom device "\/dev\/sda": no such file or directory/);
    expect(await docker.fails('create', '--security-opt', 'seccomp=unconfined', 'busybox')).toMatch(/is not supported by this server/);
    expect(await docker.fails('create', '--sysctl', 'kernel.panic=1', 'busybox')).toMatch(/sysctl|whitelist/);
    for (const mode of ['pid', 'ipc', 'uts', 'userns']) expect(await docker.fails('create', `--${mode}`, 'host', 'busybox')).toMatch(/is not supported by this server/);
  }), 60_000);

  it('keeps policies across the death of the worker', byBoth(async (docker) => {
    await docker.ok('run', '-d', '--name', 'kept', '--restart', 'unless-stopped', 'busybox', ...FOREVER);
    await docker.ok('run', '-d', '--name', 'flapping', '--restart', 'always', 'busybox', 'sh', '-c', 'sleep 0.5; exit 1');
    await docker.ok('run', '-d', '--name', 'ended', '--restart', 'unless-stopped', 'busybox', ...FOREVER);
    await docker.ok('stop', '-t', '1', 'ended');
  }), 60_000);

  it('goes on with them under the next one', async () => {
    const before = await Promise.all(tenants.map(async ({ docker }) => (await inspect(docker, 'flapping')).RestartCount));
    await platform.kill('worker');
    await platform.untilReady();
    await Promise.all(
      tenants.map(async ({ docker }, index) => {
        await until(docker, 'flapping', ({ RestartCount }) => RestartCount > before[index]!);
        expect((await inspect(docker, 'kept')).State.Status).toBe('running');
        expect((await inspect(docker, 'ended')).State.Status).toBe('exited');
        await docker.ok('rm', '-f', 'kept', 'flapping', 'ended');
      }),
    );
  }, 90_000);
});
