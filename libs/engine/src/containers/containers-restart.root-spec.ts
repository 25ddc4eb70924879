import { setTimeout as sleep } from 'node:timers/promises';
import type { TenantId } from '#kernel';
import type { Container, CreateContainer } from './index.js';
import { openContainerHost, type ContainerHost } from './testing/container-host.js';
import { containerOf, describeLeftovers, logText, NEVER } from './testing/container-requests.js';

const always = { kind: 'always', maxRetries: 0 } as const;
const unlessStopped = { kind: 'unless-stopped', maxRetries: 0 } as const;

describe('containers with a restart policy', () => {
  let host: ContainerHost;
  let tenant: TenantId;

  beforeAll(async () => {
    host = await openContainerHost('restart');
    tenant = await host.newTenant();
    await host.importImage(tenant, 'busybox', ':', { Cmd: ['sh'] });
  }, 120_000);
  afterAll(async () => {
    await host.containers.drop(tenant);
    expect(await describeLeftovers(host, [tenant])).toEqual([]);
    await host.dispose();
  }, 60_000);

  async function run(script: string, more: Partial<CreateContainer>): Promise<string> {
    const { id } = await host.containers.create(tenant, containerOf(['sh', '-c', script], more));
    await host.containers.start(tenant, id);
    return id;
  }

  async function until(id: string, condition: (container: Container) => boolean): Promise<Container> {
    for (let waited = 0; waited < 10_000; waited += 20) {
      const container = await host.containers.get(tenant, id);
      if (condition(container)) return container;
      await sleep(20);
    }
    throw new Error(`never: ${JSON.stringify(await host.containers.get(tenant, id))}`);
  }

  async function actionsOf(id: string, since: bigint): Promise<string[]> {
    const actions: string[] = [];
    const quit = new AbortController();
    for await (const event of host.events.follow(tenant, since, quit.signal)) {
      if (event.id === id) actions.push(event.action);
      if (event.action === 'destroy' && event.id === id) break;
    }
    return actions;
  }

  it('starts again as often as its policy says, each time later, and tells of it', async () => {
    const since = BigInt(Date.now()) * 1_000_000n - 1n;
    const id = await run('echo run; exit 3', { restart: { kind: 'on-failure', maxRetries: 2 } });
    const container = await until(id, ({ state }) => state.status === 'exited');
    expect(container).toMatchObject({ restartCount: 2, state: { exitCode: 3 } });
    expect(await logText(host, tenant, id)).toBe('run\nrun\nrun\n');
    await host.containers.remove(tenant, id, { force: false, volumes: false });
    expect(await actionsOf(id, since)).toEqual(['create', 'start', 'die', 'start', 'die', 'start', 'die', 'destroy']);
  });

  it('does not start again after success', async () => {
    const id = await run('exit 0', { restart: { kind: 'on-failure', maxRetries: 0 } });
    expect(await until(id, ({ state }) => state.status === 'exited')).toMatchObject({ restartCount: 0 });
    await host.containers.remove(tenant, id, { force: false, volumes: false });
  });

  it('is restarting in between: to be stopped or removed by force, not to be started, paused or removed', async () => {
    const id = await run('exit 1', { restart: always, name: 'phoenix' });
    const waiting = await until(id, ({ state, restartCount }) => state.status === 'restarting' && restartCount >= 3);
    expect(waiting.state).toMatchObject({ exitCode: 1, pid: 0 });
    expect(waiting.sandboxId).toBeUndefined();
    expect(await host.containers.start(tenant, id)).toBe(false);
    const restarting = { code: 'conflict', message: `Container ${id} is restarting, wait until the container is running` };
    await expect(host.containers.pause(tenant, id)).rejects.toMatchObject(restarting);
    await expect(host.containers.top(tenant, id, '')).rejects.toMatchObject(restarting);
    await expect(host.containers.remove(tenant, id, { force: false, volumes: false })).rejects.toMatchObject({ message: 'cannot remove container "/phoenix": container is restarting: stop the container before removing or force remove' });
    expect((await host.containers.prune(tenant, () => true)).removed).toEqual([]);
    const over = host.containers.wait(tenant, id, 'not-running', NEVER);
    expect(await host.containers.stop(tenant, id)).toBe(true);
    expect(await over).toEqual({ exitCode: 1 });
    await sleep(1000);
    const stopped = await host.containers.get(tenant, id);
    expect(stopped.state.status).toBe('exited');
    expect(await host.containers.start(tenant, id)).toBe(true);
    await until(id, ({ state }) => state.status === 'restarting');
    await host.containers.remove(tenant, id, { force: true, volumes: false });
    expect(await host.runtime.list()).toEqual([]);
  });

  it.each([
    ['stop', (id: string) => host.containers.stop(tenant, id, { timeoutSeconds: 1 })],
    ['kill', (id: string) => host.containers.kill(tenant, id)],
  ])('stays down after a %s', async (_name, end) => {
    const id = await run('trap "" TERM; while :; do sleep 0.1; done', { restart: always });
    await sleep(200);
    await end(id);
    await sleep(400);
    expect(await host.containers.get(tenant, id)).toMatchObject({ restartCount: 0, state: { status: 'exited', exitCode: 137 } });
    await host.containers.remove(tenant, id, { force: false, volumes: false });
  });

  it('starts again when its process dies by a signal that nobody asked for', async () => {
    const id = await run('kill -9 $$ & sleep 100; exit 0', { restart: unlessStopped });
    await until(id, ({ restartCount }) => restartCount > 0);
    await host.containers.remove(tenant, id, { force: true, volumes: false });
  });

  it('is stopped and started by restart, also one that removes itself at its end', async () => {
    const id = await run('echo up; sleep 100', { autoRemove: true });
    const before = await host.containers.get(tenant, id);
    await host.containers.restart(tenant, id, { timeoutSeconds: 0 });
    const after = await host.containers.get(tenant, id);
    expect(after.state.status).toBe('running');
    expect(after.sandboxId).not.toBe(before.sandboxId);
    expect(after.restartCount).toBe(0);
    const removed = host.containers.wait(tenant, id, 'removed', NEVER);
    await host.containers.kill(tenant, id);
    expect(await removed).toEqual({ exitCode: 137 });
    const still = (await host.containers.create(tenant, containerOf(['sleep', '100']))).id;
    await host.containers.restart(tenant, still);
    expect((await host.containers.get(tenant, still)).state.status).toBe('running');
    await host.containers.remove(tenant, still, { force: true, volumes: false });
  });

  it('gets another policy while it runs', async () => {
    const id = await run('sleep 0.3; exit 1', { restart: always });
    await host.containers.update(tenant, id, { limits: {}, restart: { kind: 'no', maxRetries: 0 } });
    expect(await until(id, ({ state }) => state.status !== 'running')).toMatchObject({ state: { status: 'exited' }, request: { restart: { kind: 'no' } } });
    await host.containers.remove(tenant, id, { force: false, volumes: false });
    const auto = await run('sleep 100', { autoRemove: true });
    await expect(host.containers.update(tenant, auto, { limits: {}, restart: always })).rejects.toMatchObject({
      code: 'conflict',
      message: `Cannot update container ${auto}: Restart policy cannot be updated because AutoRemove is enabled for the container`,
    });
    await host.containers.remove(tenant, auto, { force: true, volumes: false });
    await expect(host.containers.create(tenant, containerOf(['true'], { autoRemove: true, restart: always }))).rejects.toMatchObject({ code: 'invalid_argument', message: "can't create 'AutoRemove' container with restart policy" });
    await expect(host.containers.create(tenant, containerOf(['true'], { restart: { kind: 'always', maxRetries: 3 } }))).rejects.toMatchObject({ code: 'invalid_argument' });
  });

  it('goes on under a new worker: what was restarting, what died with the machine, what is to be always', async () => {
    const failing = await run('exit 1', { restart: always });
    const steady = await run('sleep 100', { restart: unlessStopped });
    const [stoppedAlways, stoppedUnless] = [await run('sleep 100', { restart: always }), await run('sleep 100', { restart: unlessStopped })];
    const never = (await host.containers.create(tenant, containerOf(['true'], { restart: always }))).id;
    const plain = await run('sleep 100', {});
    for (const id of [stoppedAlways, stoppedUnless]) await host.containers.stop(tenant, id, { timeoutSeconds: 0 });
    await until(failing, ({ state, restartCount }) => state.status === 'restarting' && restartCount >= 3);
    const { sandboxId } = await host.containers.get(tenant, steady);
    await host.containers.release();
    // As a machine that went down: its sandboxes are gone.
    for (const sandbox of await host.runtime.list()) await sandbox.destroy();
    await host.restart();
    await until(failing, ({ restartCount }) => restartCount >= 4);
    expect((await until(steady, ({ state }) => state.status === 'running')).sandboxId).not.toBe(sandboxId);
    await until(stoppedAlways, ({ state }) => state.status === 'running');
    expect((await host.containers.get(tenant, stoppedUnless)).state.status).toBe('exited');
    expect((await host.containers.get(tenant, never)).state.status).toBe('created');
    expect((await host.containers.get(tenant, plain)).state).toMatchObject({ status: 'exited', exitCode: 255 });
    await host.containers.drop(tenant);
  });

  it('is stopped with the node, and up again with it', async () => {
    const id = await run('trap "exit 0" TERM; echo up; while :; do sleep 0.05; done', { restart: unlessStopped });
    await host.containers.close();
    expect(await host.runtime.list()).toEqual([]);
    await host.restart();
    await until(id, ({ state }) => state.status === 'running');
    await host.containers.remove(tenant, id, { force: true, volumes: false });
  });
});
