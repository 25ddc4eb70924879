import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { newId, type TenantId } from '#kernel';
import type { ContainerNetworking, CreateContainer } from './index.js';
import { openContainerHost, type ContainerHost } from './testing/container-host.js';
import { containerOf, describeLeftovers, logText, NEVER } from './testing/container-requests.js';

const COUNT = 'i=0; while [ $i -lt 400 ]; do echo "line $i"; i=$((i+1)); sleep 0.002; done; exit 5';

const NETWORK: ContainerNetworking = { mode: 'bridge', endpoints: [], ports: [], publishAll: false, links: [], dns: { servers: [], search: [], options: [] }, extraHosts: [], egress: { kind: 'all' } };

describe('containers and restarts of the worker', () => {
  let host: ContainerHost;
  let tenant: TenantId;

  beforeAll(async () => {
    host = await openContainerHost('recovery');
    tenant = await host.newTenant();
    await host.importImage(tenant, 'busybox', 'mkdir data; echo content > data/file', { Cmd: ['sh'] });
  }, 120_000);
  afterEach(async () => {
    for (const { id } of await host.containers.list(tenant)) await host.containers.remove(tenant, id, { force: true, volumes: true });
    for (const { name } of await host.volumes.list(tenant)) await host.volumes.remove(tenant, name);
    expect(await describeLeftovers(host, [tenant])).toEqual([]);
  });
  afterAll(async () => {
    await host.dispose();
  }, 60_000);

  async function run(line: string, more: Partial<CreateContainer> = {}): Promise<string> {
    const { id } = await host.containers.create(tenant, containerOf(['sh', '-c', line], more));
    await host.containers.start(tenant, id);
    return id;
  }

  async function edit(id: string, change: object): Promise<void> {
    const file = join(host.containersRoot, tenant, `${id}.json`);
    await writeFile(file, JSON.stringify({ ...(JSON.parse(await readFile(file, 'utf8')) as object), ...change }));
  }

  const stateOf = async (id: string) => (await host.containers.get(tenant, id)).state;

  it('lose and double nothing of the output', async () => {
    const id = await run(COUNT);
    for (let restarts = 0; restarts < 4; restarts += 1) {
      await sleep(100);
      await host.restart();
    }
    expect(await host.containers.wait(tenant, id, 'not-running', NEVER)).toEqual({ exitCode: 5 });
    expect(await logText(host, tenant, id)).toBe(Array.from({ length: 400 }, (_, index) => `line ${index}\n`).join(''));
  });

  it('learn how a container ended meanwhile', async () => {
    const id = await run('sleep 0.1; echo last; exit 6');
    const gone = await run('sleep 0.1; exit 6', { autoRemove: true, mounts: [{ kind: 'volume', destination: '/v', readOnly: false, noCopy: false }] });
    await host.containers.release();
    await sleep(300);
    await host.restart();
    expect(await host.containers.wait(tenant, id, 'not-running', NEVER)).toEqual({ exitCode: 6 });
    expect(await logText(host, tenant, id)).toBe('last\n');
    expect(await host.containers.wait(tenant, gone, 'removed', NEVER).catch((error: unknown) => error)).toMatchObject({});
    await expect(host.containers.get(tenant, gone)).rejects.toMatchObject({ code: 'not_found' });
    expect(await host.volumes.list(tenant)).toEqual([]);
  });

  it('learn it from the log, when nothing else knows', async () => {
    const id = await run('exit 6');
    await host.containers.wait(tenant, id, 'not-running', NEVER);
    await host.containers.release();
    await edit(id, { status: 'running', sandboxId: newId('sandbox'), exitCode: 0 });
    await host.restart();
    expect(await stateOf(id)).toMatchObject({ status: 'exited', exitCode: 6 });
  });

  it('find those dead that have died, and hold what the others need', async () => {
    const killed = await run('sleep 100');
    const swept = await run('sleep 100');
    const kept = await run('sleep 100', { mounts: [{ kind: 'volume', name: 'data', destination: '/data', readOnly: false, noCopy: false }] });
    const sandboxes = await Promise.all([killed, swept].map(async (id) => (await host.containers.get(tenant, id)).sandboxId!));
    await host.containers.release();
    await host.cgroups.sandbox(tenant, sandboxes[0]!).kill();
    await (await host.runtime.get(sandboxes[1]!))!.destroy();
    await host.restart();
    await host.containers.wait(tenant, killed, 'not-running', NEVER);
    expect(await stateOf(killed)).toMatchObject({ status: 'exited', exitCode: 137 });
    expect(await stateOf(swept)).toMatchObject({ status: 'exited', exitCode: 255 });
    expect(await stateOf(kept)).toMatchObject({ status: 'running' });
    expect(host.volumes.holders(tenant, 'data')).toEqual([kept]);
    await expect(host.images.remove(tenant, (await host.containers.get(tenant, kept)).imageId, { force: true, keepParents: false })).rejects.toMatchObject({ code: 'conflict' });
    expect(await host.containers.stop(tenant, kept, { timeoutSeconds: 2 })).toBe(true);
    expect(await stateOf(kept)).toMatchObject({ status: 'exited', exitCode: 143 });
  });

  it('leave a paused container paused', async () => {
    const id = await run('i=0; while :; do i=$((i+1)); echo $i; sleep 0.02; done');
    const doomed = await run('sleep 100');
    await sleep(150);
    for (const each of [id, doomed]) await host.containers.pause(tenant, each);
    await host.restart();
    expect(await stateOf(id)).toMatchObject({ status: 'paused' });
    const before = await logText(host, tenant, id);
    await sleep(100);
    expect(await logText(host, tenant, id)).toBe(before);
    await host.containers.unpause(tenant, id);
    await sleep(200);
    const numbers = (await logText(host, tenant, id)).trim().split('\n').map(Number);
    expect(numbers.length).toBeGreaterThan(before.split('\n').length + 2);
    expect(numbers).toEqual(numbers.map((_, index) => index + 1));
    await host.containers.kill(tenant, doomed);
    expect(await stateOf(doomed)).toMatchObject({ status: 'exited', exitCode: 137 });
  });

  it('sweep what is half made or half removed, and sandboxes of nobody', async () => {
    const mounts = [{ kind: 'volume', destination: '/data', readOnly: false, noCopy: false }] as const;
    const [making, removing] = await Promise.all([0, 1].map(async () => (await host.containers.create(tenant, containerOf(['true'], { mounts }))).id)) as [string, string];
    const volumeOf = async (id: string) => (await host.containers.get(tenant, id)).mounts[0]!.name;
    await edit(making, { phase: 'making', madeVolumes: [await volumeOf(making)], mounts: [] });
    await edit(removing, { phase: 'removing', madeVolumes: [await volumeOf(removing)] });
    const orphan = await run('sleep 100');
    await edit(orphan, { status: 'created', sandboxId: null });
    await writeFile(join(host.containersRoot, tenant, `${'0'.repeat(64)}.json.00ff.tmp`), '{');
    await host.restart();
    expect((await host.containers.list(tenant)).map(({ id }) => id)).toEqual([orphan]);
    expect(await host.runtime.list()).toEqual([]);
    expect(await host.volumes.list(tenant)).toEqual([]);
  });

  it('end with their node, each by its own signal, and are there when it comes back', async () => {
    const polite = await run('trap "echo bye; exit 3" TERM; echo up; while :; do sleep 0.05; done');
    const deaf = await run('trap "" TERM; echo up; while :; do sleep 0.05; done');
    for (const id of [polite, deaf]) while ((await logText(host, tenant, id)) !== 'up\n') await sleep(20);
    await host.containers.close();
    expect(await host.runtime.list()).toEqual([]);
    await host.restart();
    expect(await stateOf(polite)).toMatchObject({ status: 'exited', exitCode: 3 });
    expect(await stateOf(deaf)).toMatchObject({ status: 'exited', exitCode: 137 });
    expect(await logText(host, tenant, polite)).toBe('up\nbye\n');
  });

  const mounts: CreateContainer['mounts'] = [
    { kind: 'volume', destination: '/data', readOnly: false, noCopy: false },
    { kind: 'volume', name: 'named', destination: '/named', readOnly: false, noCopy: false },
  ];

  /** Every call that it makes of another part may be its last one. */
  async function dieAtEachCall(operation: (containers: ContainerHost['containers']) => Promise<unknown>, check: () => Promise<void>): Promise<number> {
    for (let calls = 1; ; calls += 1) {
      let finished = 0;
      for (const when of ['before', 'after'] as const) {
        const { containers, died } = await host.dying(calls, when);
        const done = operation(containers).then(() => true);
        if (await Promise.race([done, died.then(() => false)])) finished += 1;
        // What it may still do by itself has an end.
        await sleep(5);
        await containers.release();
        await host.restart();
        await check();
      }
      if (finished === 2) return calls;
    }
  }

  it('survive a death at every step of a create', async () => {
    const calls = await dieAtEachCall(
      (containers) => containers.create(tenant, containerOf(['true'], { name: 'made', mounts })),
      async () => {
        const [container, ...others] = await host.containers.list(tenant);
        expect(others).toEqual([]);
        if (container === undefined) {
          expect(await host.volumes.list(tenant)).toEqual([]);
          expect(await describeLeftovers(host, [tenant])).toEqual([]);
          return;
        }
        expect(container.mounts).toHaveLength(2);
        await host.containers.start(tenant, 'made');
        await host.containers.wait(tenant, 'made', 'not-running', NEVER);
        await host.containers.remove(tenant, 'made', { force: false, volumes: true });
        await host.volumes.remove(tenant, 'named');
      },
    );
    expect(calls).toBeGreaterThan(8);
  }, 120_000);

  it('survive a death at every step of a start', async () => {
    const { id } = await host.containers.create(tenant, containerOf(['sh', '-c', 'echo once; sleep 100'], { name: 'begun', mounts }));
    let starts = 0;
    await dieAtEachCall(
      (containers) => containers.start(tenant, id),
      async () => {
        const { status } = await stateOf(id);
        expect(['created', 'exited', 'running']).toContain(status);
        if (status !== 'running') return;
        starts += 1;
        for (let waited = 0; (await logText(host, tenant, id)) !== 'once\n'.repeat(starts); waited += 20) {
          if (waited > 3000) throw new Error(`it said ${await logText(host, tenant, id)}`);
          await sleep(20);
        }
        await host.containers.kill(tenant, id);
      },
    );
    expect(starts).toBeGreaterThan(1);
  }, 120_000);

  it('leave nothing of a step of a build, whenever the worker dies under it', async () => {
    for (const asked of [[], mounts]) {
      let made = false;
      const calls = await dieAtEachCall(
        async (containers) => {
          made = false;
          const { id } = await containers.create(tenant, containerOf(['sh', '-c', 'echo changed > changed'], { transient: true, mounts: asked, network: NETWORK }));
          made = asked.length > 0;
          await containers.start(tenant, id);
          await containers.wait(tenant, id, 'not-running', NEVER);
          await containers.commitAs(tenant, id, { config: {}, author: '', createdBy: 'a step', without: [] });
          await containers.remove(tenant, id, { force: true, volumes: true });
        },
        async () => {
          expect(await describeLeftovers(host, [tenant])).toEqual([]);
          const names = (await host.volumes.list(tenant)).map(({ name }) => name);
          expect(names.filter((name) => name !== 'named')).toEqual([]);
          // A cache of builds outlives the step that was the first to use it.
          if (made) expect(names).toEqual(['named']);
          for (const name of names) await host.volumes.remove(tenant, name);
        },
      );
      expect(calls).toBeGreaterThan(10);
    }
  }, 240_000);

  it('survive a death at every step of a removal', async () => {
    const make = () => host.containers.create(tenant, containerOf(['true'], { name: 'doomed', mounts }));
    await make();
    await dieAtEachCall(
      (containers) => containers.remove(tenant, 'doomed', { force: false, volumes: true }),
      async () => {
        const left = await host.containers.list(tenant);
        if (left.length > 0) return;
        expect((await host.volumes.list(tenant)).map(({ name }) => name)).toEqual(['named']);
        expect(await describeLeftovers(host, [tenant])).toEqual([]);
        await make();
      },
    );
  }, 120_000);
});
