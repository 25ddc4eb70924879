import { startPlatform, type Platform } from '#testing';
import { stopAndExpectNothingLeft } from './nothing-left.js';

const CONTAINERS = 500;
const AT_ONCE = 8;
const CRASHES = 2;
/** A seed of a run that failed is put here to see it again. */
const SEED = Number(process.env.SANDBAR_CHURN_SEED ?? Date.now() % 1_000_000);

/** What containers are made of (processes, mounts, cgroups, name spaces, links, rules, addresses, files) goes with them, whatever happens meanwhile. */
describe(`500 containers in random interleavings (seed ${String(SEED)})`, () => {
  let platform: Platform;
  let apiKey: string;
  const random = generator(SEED);
  const pick = <T>(list: readonly T[]): T => list[Math.floor(random() * list.length)] as T;

  beforeAll(async () => {
    platform = await startPlatform();
    ({ apiKey } = await platform.newTenant('churn', { containers: 1000, requestsPerSecond: 10_000, requestBurst: 10_000 }));
    const docker = await platform.docker(apiKey);
    await docker.ok('pull', '-q', 'busybox');
    await docker.ok('network', 'create', 'own');
    await docker.close();
  }, 90_000);
  afterAll(async () => {
    await stopAndExpectNothingLeft(platform);
  }, 120_000);

  /** Docker's API; a crash of the worker in the middle of a call is not the call's fault: 5xx and cut connections are told as 503. */
  async function call(method: string, path: string, body?: unknown): Promise<{ status: number; body: unknown }> {
    try {
      const answer = await fetch(`${platform.url}/v1.50${path}`, { method, headers: { authorization: `Bearer ${apiKey}`, ...(body === undefined ? {} : { 'content-type': 'application/json' }) }, ...(body === undefined ? {} : { body: JSON.stringify(body) }) });
      const text = await answer.text();
      return { status: answer.status, body: text === '' ? undefined : (JSON.parse(text) as unknown) };
    } catch {
      return { status: 503, body: undefined };
    }
  }

  async function untilAnswered(): Promise<void> {
    for (let attempt = 0; (await call('GET', '/info')).status !== 200; attempt += 1) {
      if (attempt === 300) throw new Error('the node does not answer any more');
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }

  async function oneLife(index: number): Promise<void> {
    const name = `churn-${String(index)}`;
    const network = pick(['none', 'bridge', 'bridge', 'own', 'host']);
    const ports = network === 'bridge' || network === 'own';
    const created = await call('POST', `/containers/create?name=${name}`, {
      Image: 'busybox',
      Cmd: pick([['true'], ['sleep', '1000'], ['sh', '-c', 'sleep 0.05; exit 3'], ['no-such-program']]),
      ExposedPorts: { '80/tcp': {} },
      Volumes: random() < 0.3 ? { '/data': {} } : {},
      HostConfig: { NetworkMode: network, AutoRemove: random() < 0.3, PublishAllPorts: ports && random() < 0.3 },
    });
    expect([201, 503, 500, 409]).toContain(created.status);
    const acts = [
      () => call('POST', `/containers/${name}/start`),
      () => call('POST', `/containers/${name}/stop?t=0`),
      () => call('POST', `/containers/${name}/kill`),
      () => call('POST', `/containers/${name}/pause`),
      () => call('POST', `/containers/${name}/unpause`),
      () => call('POST', `/containers/${name}/restart?t=0`),
      () => call('GET', `/containers/${name}/json`),
    ];
    await call('POST', `/containers/${name}/start`);
    for (let step = 0; step < Math.floor(random() * 4); step += 1) {
      if (random() < 0.3) await Promise.all([pick(acts)(), pick(acts)()]);
      else await pick(acts)();
    }
    await call('DELETE', `/containers/${name}?force=1&v=1`);
  }

  it('leaves nothing', async () => {
    let next = 0;
    let crashed = 0;
    const lives = async (): Promise<void> => {
      while (next < CONTAINERS) {
        const index = next;
        next += 1;
        if (crashed < CRASHES && index >= ((crashed + 1) * CONTAINERS) / (CRASHES + 1)) {
          crashed += 1;
          await platform.kill('worker');
          await untilAnswered();
        }
        await oneLife(index);
      }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, lives));
    await untilAnswered();
    for (let attempt = 0; attempt < 20; attempt += 1) {
      const { body } = await call('GET', '/containers/json?all=1');
      const left = body as { Id: string }[];
      if (left.length === 0) break;
      await Promise.all(left.map(({ Id: id }) => call('DELETE', `/containers/${id}?force=1&v=1`)));
    }
    expect((await call('GET', '/containers/json?all=1')).body).toEqual([]);
    expect((await call('GET', '/volumes')).body).toMatchObject({ Volumes: [] });
    expect((await call('GET', '/networks/own')).body).toMatchObject({ Containers: {} });
    expect(await call('DELETE', '/networks/own')).toMatchObject({ status: 204 });
    expect(await platform.leaks()).toMatchObject({ exitCode: 0 });
  }, 300_000);
});

/** mulberry32: the same numbers for the same seed. */
function generator(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}
