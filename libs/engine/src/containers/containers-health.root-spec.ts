import { setTimeout as sleep } from 'node:timers/promises';
import type { TenantId } from '#kernel';
import type { Container, CreateContainer, HealthCheck } from './index.js';
import { openContainerHost, type ContainerHost } from './testing/container-host.js';
import { containerOf, describeLeftovers } from './testing/container-requests.js';

const often: HealthCheck = { test: [], intervalMs: 50, timeoutMs: 0, startPeriodMs: 0, startIntervalMs: 0, retries: 2 };

describe('containers with a health check', () => {
  let host: ContainerHost;
  let tenant: TenantId;

  beforeAll(async () => {
    host = await openContainerHost('health');
    tenant = await host.newTenant();
    await host.importImage(tenant, 'busybox', ':', { Cmd: ['sh'] });
    await host.importImage(tenant, 'checked', 'chmod 1777 tmp', { Cmd: ['sleep', '100'], Healthcheck: { Test: ['CMD-SHELL', 'echo "$MINE" as $(id -un); test -e /tmp/well'], Interval: 5e7, Retries: 2 }, Env: ['MINE=checked'], User: 'app' });
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

  async function until(id: string, condition: (container: Container) => boolean): Promise<Container> {
    for (let waited = 0; waited < 10_000; waited += 20) {
      const container = await host.containers.get(tenant, id);
      if (condition(container)) return container;
      await sleep(20);
    }
    throw new Error(`never: ${JSON.stringify((await host.containers.get(tenant, id)).state)}`);
  }

  async function inside(id: string, ...argv: string[]): Promise<void> {
    const exec = await host.containers.processes.createExec(tenant, id, { argv, env: [], workingDir: '', user: '', tty: false, openStdin: false, privileged: false, clientConfig: {} });
    await host.containers.processes.startExec(tenant, exec.id);
    await host.containers.processes.waitExec(tenant, exec.id, new AbortController().signal);
  }

  it("shows how it goes, by the image's check, and tells of each change", async () => {
    const since = BigInt(Date.now()) * 1_000_000n - 1n;
    const { id } = await host.containers.create(tenant, containerOf([], { image: 'checked' }));
    const created = await host.containers.get(tenant, id);
    expect(created.state.health).toBeUndefined();
    expect(created.effective.health).toMatchObject({ intervalMs: 50, retries: 2 });
    await host.containers.start(tenant, id);
    expect((await host.containers.get(tenant, id)).state.health).toMatchObject({ status: 'starting' });
    const { state } = await until(id, ({ state: { health } }) => health?.status === 'unhealthy');
    expect(state.health!.failingStreak).toBeGreaterThanOrEqual(2);
    expect(state.health!.log[0]).toMatchObject({ exitCode: 1, output: 'checked as app\n' });
    await inside(id, 'touch', '/tmp/well');
    await until(id, ({ state: { health } }) => health?.status === 'healthy' && health.failingStreak === 0 && health.log.length === 5);
    expect(await host.containers.processes.listExecs(tenant, id)).toHaveLength(1);
    // A paused container does not fall ill.
    await host.containers.pause(tenant, id);
    const { finishedAt } = (await host.containers.get(tenant, id)).state.health!.log.at(-1)!;
    await sleep(300);
    expect((await host.containers.get(tenant, id)).state.health).toMatchObject({ status: 'healthy' });
    await host.containers.unpause(tenant, id);
    await until(id, ({ state: { health } }) => (health?.log.at(-1)?.finishedAt ?? 0) > finishedAt + 300);
    await host.containers.stop(tenant, id, { timeoutSeconds: 0 });
    expect((await host.containers.get(tenant, id)).state.health).toMatchObject({ status: 'unhealthy' });
    await host.containers.remove(tenant, id, { force: false, volumes: false });
    const quit = new AbortController();
    const told: string[] = [];
    for await (const event of host.events.follow(tenant, since, quit.signal)) {
      if (event.id === id && event.action.startsWith('health_status')) told.push(event.action);
      if (event.action === 'destroy') break;
    }
    expect(told).toEqual(['health_status: unhealthy', 'health_status: healthy']);
  });

  it('fails by time, by a program that is not there, and with output that is cut', async () => {
    const slow = await run({ health: { ...often, test: ['CMD', 'sleep', '50'], timeoutMs: 100 } });
    const absent = await run({ health: { ...often, test: ['CMD', 'nothing-here'] } });
    const loud = await run({ health: { ...often, test: ['CMD-SHELL', 'yes | head -c 100000'] } });
    const { state } = await until(slow, ({ state: { health } }) => health?.status === 'unhealthy');
    expect(state.health!.log[0]).toMatchObject({ exitCode: -1, output: 'Health check exceeded timeout (0.1s)' });
    expect((await host.containers.top(tenant, slow, '-o pid,args')).processes.filter(([, args]) => args === 'sleep 50').length).toBeLessThanOrEqual(1);
    expect((await until(absent, ({ state: { health } }) => health?.status === 'unhealthy')).state.health!.log[0]).toMatchObject({ exitCode: -1, output: expect.stringContaining('executable file not found in $PATH') });
    const heard = (await until(loud, ({ state: { health } }) => health?.status === 'healthy')).state.health!.log[0]!;
    expect(heard.output).toHaveLength(4096 + 3);
    for (const id of [slow, absent, loud]) await host.containers.remove(tenant, id, { force: true, volumes: false });
  });

  it('has none where none is asked for', async () => {
    const { id } = await host.containers.create(tenant, containerOf([], { image: 'checked', health: { ...often, test: ['NONE'] } }));
    await host.containers.start(tenant, id);
    await sleep(200);
    expect((await host.containers.get(tenant, id)).state.health).toBeUndefined();
    await host.containers.remove(tenant, id, { force: true, volumes: false });
  });

  it('goes on under a new worker, from where it stood', async () => {
    const id = await run({ health: { ...often, test: ['CMD', 'true'] } });
    await until(id, ({ state: { health } }) => health?.status === 'healthy');
    await sleep(100);
    await host.restart();
    expect((await host.containers.get(tenant, id)).state.health).toMatchObject({ status: 'healthy' });
    await until(id, ({ state: { health } }) => (health?.log.length ?? 0) > 1);
    await host.containers.remove(tenant, id, { force: true, volumes: false });
  });
});
