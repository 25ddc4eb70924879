import { TENANT_SCOPES, type Scope } from '#contracts';
import { startDockerFixture, type DockerFixture } from './docker-fixture.contract.js';
import { DOCKER_TABLE } from './docker-routes.contract.js';

const KEYED = Object.entries(DOCKER_TABLE).filter(([, permission]) => permission !== 'public');
const pathOf = (route: string): [string, string] => {
  const [method = '', path = ''] = route.split(' ');
  return [method, `/v1.50${path.replace('/docker', '').replace(/:(id|name)/, 'nosuch').replace('*', 'nosuch')}`];
};

const WORDLESS: Partial<Record<number, string>> = { 401: 'a valid API key is needed', 403: 'this needs' };

describe("who may call what of Docker's API", () => {
  let fixture: DockerFixture;
  const keys = new Map<Scope, string>();

  beforeAll(async () => {
    fixture = await startDockerFixture({ settings: { failedAuthenticationsPerMinute: 10_000 } });
    for (const scope of TENANT_SCOPES) keys.set(scope, (await fixture.gateway.tenant({ requestsPerSecond: 1000, requestBurst: 2000 }, [scope])).key);
    keys.set('admin', fixture.gateway.adminKey);
  }, 60_000);
  afterAll(() => fixture.stop());

  const ask = async (key: string | undefined, method: string, path: string): Promise<{ status: number; message: string }> => {
    const leave = new AbortController();
    const response = await fetch(fixture.gateway.url + path, { method, headers: key === undefined ? {} : { authorization: `Bearer ${key}` }, signal: leave.signal });
    if (response.status < 400) {
      leave.abort();
      return { status: response.status, message: '' };
    }
    // An answer to HEAD has no body that could say why.
    const said = method === 'HEAD' ? { message: WORDLESS[response.status] ?? '' } : ((await response.json()) as { message: string });
    return { status: response.status, message: said.message };
  };

  it.each(KEYED)('%s refuses who shows no key', async (route) => {
    expect(await ask(undefined, ...pathOf(route))).toEqual({ status: 401, message: expect.stringContaining('a valid API key is needed') });
  });

  it.each(KEYED)('%s needs %s and nothing else', async (route, permission) => {
    for (const [scope, key] of keys) {
      const { status, message } = await ask(key, ...pathOf(route));
      expect({ scope, refused: status === 403 && message.startsWith('this needs') }).toEqual({ scope, refused: scope !== permission });
    }
  });

  it('answers a ping to everyone', async () => {
    for (const path of ['/_ping', '/v1.24/_ping']) {
      const response = await fetch(fixture.gateway.url + path);
      expect([response.status, await response.text()]).toEqual([200, 'OK']);
      expect(Object.fromEntries(response.headers)).toMatchObject({ 'api-version': '1.50', ostype: 'linux', 'docker-experimental': 'false', 'builder-version': '1', swarm: 'inactive', 'cache-control': 'no-cache, no-store, must-revalidate', pragma: 'no-cache' });
    }
    const head = await fetch(`${fixture.gateway.url}/_ping`, { method: 'HEAD' });
    expect([head.status, head.headers.get('api-version')]).toEqual([200, '1.50']);
  });

  it('shows one tenant nothing of another', async () => {
    const [one, other] = [await fixture.gateway.tenant(), await fixture.gateway.tenant()];
    await fixture.gateway.call(one.key, 'POST', '/volumes/create', { Name: 'mine' });
    expect((await fixture.gateway.call(other.key, 'GET', '/volumes')).body).toEqual({ Volumes: [], Warnings: null });
    expect((await fixture.gateway.call(other.key, 'GET', '/volumes/mine')).status).toBe(404);
    const ids = await Promise.all([one, other].map(async ({ key }) => (await fixture.gateway.call<{ ID: string }>(key, 'GET', '/info')).body.ID));
    expect(ids[0]).not.toBe(ids[1]);
  });
});
