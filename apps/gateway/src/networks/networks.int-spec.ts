import type { ErrorBody, NetworkView } from '#contracts';
import { startDockerFixture, type DockerFixture } from '../protocols/docker/docker-fixture.contract.js';

describe('networks over REST', () => {
  let fixture: DockerFixture;
  let stranger: string;

  beforeAll(async () => {
    fixture = await startDockerFixture();
    ({ key: stranger } = await fixture.gateway.tenant());
  }, 60_000);
  afterAll(() => fixture.stop());

  const call = <T = NetworkView>(method: string, path: string, body?: unknown, key = fixture.key) => fixture.gateway.call<T>(key, method, `/v1/networks${path}`, body);
  const refused = async (method: string, path: string, body?: unknown, key = fixture.key): Promise<{ status: number; code: string; message: string }> => {
    const { status, body: answer } = await call<ErrorBody>(method, path, body, key);
    return { status, code: answer.error.code, message: answer.error.message };
  };

  it('are made, listed, shown and removed, and are what docker shows', async () => {
    const { status, body } = await call('POST', '', { name: 'front', subnet: '172.30.0.0/16', labels: { a: 'b' } });
    expect({ status, body }).toMatchObject({ status: 201, body: { name: 'front', driver: 'bridge', subnet: '172.30.0.0/16', gateway: '172.30.0.1', internal: false, dns: true, labels: { a: 'b' }, containers: [] } });
    expect((await call<{ items: NetworkView[] }>('GET', '')).body.items.map(({ name }) => name)).toEqual(['bridge', 'host', 'none', 'front']);
    for (const ref of [body.id, body.id.slice(0, 12), 'front']) expect((await call('GET', `/${ref}`)).body.id).toBe(body.id);
    expect((await fixture.docker('network', 'ls', '-q', '--no-trunc', '--filter', 'name=front')).out.trim()).toBe(body.id);
    expect(await refused('POST', '', { name: 'front' })).toEqual({ status: 409, code: 'conflict', message: 'network with name front already exists' });
    expect((await call('DELETE', '/front')).status).toBe(204);
    expect(await refused('GET', '/front')).toEqual({ status: 404, code: 'not_found', message: 'network front not found' });
    expect(await refused('DELETE', '/bridge')).toMatchObject({ status: 403, code: 'permission_denied' });
  });

  it('have containers that come and go', async () => {
    await call('POST', '', { name: 'back' });
    await fixture.docker('run', '-d', '--name', 'web', 'busybox', 'sleep');
    expect((await call('POST', '/back/connect', { container: 'web', aliases: ['www'] })).status).toBe(204);
    expect((await call('GET', '/back')).body.containers).toMatchObject([{ name: 'web', prefixLength: 16 }]);
    expect(await refused('DELETE', '/back')).toMatchObject({ status: 409, message: expect.stringContaining('has active endpoints') as string });
    expect(await refused('POST', '/back/connect', { container: 'web' })).toMatchObject({ status: 403, message: 'endpoint with name web already exists in network back' });
    expect(await refused('POST', '/back/connect', { container: 'nobody' })).toMatchObject({ status: 404, message: 'No such container: nobody' });
    expect((await call('POST', '/back/disconnect', { container: 'web' })).status).toBe(204);
    expect((await call<{ removed: string[] }>('POST', '/prune', { labels: ['x=y'] })).body.removed).toEqual(['back']);
    expect(fixture.host.calls.at(-1)).toEqual({ name: 'pruneNetworks', given: { labels: ['x=y'] } });
  });

  it('are nobody else’s', async () => {
    await call('POST', '', { name: 'private' });
    for (const [method, path, body] of [['GET', '/private'], ['DELETE', '/private'], ['POST', '/private/connect', { container: 'web' }]] as const) expect(await refused(method, path, body, stranger)).toMatchObject({ status: 404 });
  });

  it.each<[string, object]>([
    ['no name', {}],
    ['an empty name', { name: '' }],
    ['a member that is not known', { name: 'n', ipv6: true }],
    ['labels that are no texts', { name: 'n', labels: { a: 1 } }],
  ])('are refused with %s', async (_what, body) => {
    expect(await refused('POST', '', body)).toMatchObject({ status: 400, code: 'invalid_argument' });
  });
});
