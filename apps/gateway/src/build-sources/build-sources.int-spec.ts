import { TENANT_SCOPES, type BuildParcelBody, type BuildSourceView, type BuildView, type CreatedBuildSource, type ErrorBody, type Page } from '#contracts';
import { startFixture, type Fixture } from '../testing/gateway-fixture.contract.js';
import { MemoryHosts, MemoryOperations } from '../testing/virtual-hosts.contract.js';

const SOURCE = { name: 'web', git: { url: 'https://git.example/web.git', subdir: 'app' }, on: { branch: 'main' }, tags: ['team/web:{branch}', 'team/web:{sha7}'], buildArgs: { MODE: 'an-argument' }, secrets: { GIT_AUTH_TOKEN: 'a-token' }, registries: { 'registry.example': { username: 'u', password: 'a-password' } } };
const COMMIT = '0123456789abcdef0123456789abcdef01234567';

describe('build sources', () => {
  let gateway: Fixture;
  let hosts: MemoryHosts;
  beforeAll(async () => {
    hosts = new MemoryHosts();
    gateway = await startFixture({ docker: { hosts, operations: new MemoryOperations(hosts) } });
    await gateway.node();
  }, 60_000);
  afterAll(() => gateway.stop(), 30_000);

  const create = async (key: string, more: object = {}): Promise<CreatedBuildSource> => {
    const { status, body } = await gateway.call<CreatedBuildSource>(key, 'POST', '/v1/build-sources', { ...SOURCE, ...more });
    expect({ status, body }).toMatchObject({ status: 201 });
    return body;
  };
  const parcels = (tenantId: string): BuildParcelBody[] => [...hosts.memory(tenantId).parcels.values()];

  it('are made with a secret that is shown once, and found by name and id without any secret', async () => {
    const { key } = await gateway.tenant();
    const made = await create(key);
    expect(made).toMatchObject({ id: expect.stringMatching(/^bsr_/) as string, name: 'web', webhookSecret: expect.stringMatching(/^whsec_/) as string, webhookPath: expect.stringMatching(/^\/v1\/webhooks\/[\w-]{22}$/) as string, dockerfile: 'Dockerfile', buildArgs: ['MODE'], secrets: ['GIT_AUTH_TOKEN'], registries: ['registry.example'], lastBuildId: null });
    const { webhookSecret, ...view } = made;
    for (const ref of ['web', made.id]) expect((await gateway.call(key, 'GET', `/v1/build-sources/${ref}`)).body).toEqual(view);
    const list = await gateway.call<Page<BuildSourceView>>(key, 'GET', '/v1/build-sources');
    expect(list.body).toEqual({ items: [view], nextCursor: null });
    for (const value of [webhookSecret, 'an-argument', 'a-token', 'a-password']) expect(JSON.stringify(list.body)).not.toContain(value);
  });

  it('lie in the database with their secrets sealed', async () => {
    const { id, key } = await gateway.tenant();
    const { webhookSecret } = await create(key);
    const [row] = (await gateway.platform.repositories.buildSources.list(id as never, { limit: 1 })).items;
    const bytes = Buffer.concat([row?.sealedSecret ?? Buffer.alloc(0), row?.sealedValues ?? Buffer.alloc(0), Buffer.from(JSON.stringify(row))]);
    for (const value of [webhookSecret, 'an-argument', 'a-token', 'a-password']) expect(bytes.includes(value)).toBe(false);
  });

  it('take a name once a tenant, and no more than the tenant may have', async () => {
    const { key } = await gateway.tenant({ buildSources: 2 });
    await create(key);
    expect((await gateway.call<ErrorBody>(key, 'POST', '/v1/build-sources', SOURCE)).body.error.code).toBe('already_exists');
    await create(key, { name: 'second' });
    expect((await gateway.call<ErrorBody>(key, 'POST', '/v1/build-sources', { ...SOURCE, name: 'third' })).body.error).toMatchObject({ code: 'quota_exceeded', details: { buildSources: 2 } });
  });

  it.each([
    ['a name with a slash', { name: 'a/b' }, 'name'],
    ['a name like an id', { name: 'bsr_x' }, 'name'],
    ['a password in the address', { git: { url: 'https://u:p@git.example/x.git' } }, 'git.url'],
    ['no name of an image', { tags: [] }, 'tags'],
    ['a repository that pushes choose', { tags: ['team/{branch}:x'] }, 'tags.0'],
    ['a tag of tags for branches', { tags: ['app:{tag}'] }, 'tags'],
    ['both rules', { on: { branch: 'a', tag: 'b' } }, 'on'],
    ['a branch that is none', { on: { branch: 'a b' } }, 'on.branch'],
    ['secrets without measure', { secrets: { a: 'x'.repeat(300_000) } }, ''],
    ['what is not known', { image: 'x' }, ''],
  ])('are refused with %s', async (_name, more, path) => {
    const { key } = await gateway.tenant();
    const { status, body } = await gateway.call<ErrorBody>(key, 'POST', '/v1/build-sources', { ...SOURCE, ...more });
    expect({ status, body }).toMatchObject({ status: 400, body: { error: { code: 'invalid_argument' } } });
    expect((body.error.details['issues'] as { path: string }[]).map((issue) => issue.path)).toContain(path);
  });

  it('change where they are told to, and as a whole have to fit', async () => {
    const { id, key } = await gateway.tenant();
    const made = await create(key, { target: 'prod' });
    const patch = (change: object) => gateway.call<BuildSourceView & ErrorBody>(key, 'PATCH', '/v1/build-sources/web', change);
    expect((await patch({ on: { tag: 'v*' } })).body.error).toMatchObject({ code: 'invalid_argument', details: { issues: [{ path: 'tags' }] } });
    const { status, body } = await patch({ on: { tag: 'v*' }, tags: ['team/web:{tag}'], target: null, secrets: { other: 'x' } });
    expect({ status, body }).toMatchObject({ status: 200, body: { id: made.id, on: { tag: 'v*' }, tags: ['team/web:{tag}'], target: null, git: SOURCE.git, buildArgs: ['MODE'], secrets: ['other'], registries: ['registry.example'] } });
    expect((await gateway.call<BuildView>(key, 'POST', '/v1/build-sources/web/builds', { tag: 'v1' })).status).toBe(202);
    expect(parcels(id)[0]).toMatchObject({ request: { buildArgs: { MODE: 'an-argument' } }, secrets: { other: { content: 'x' } }, registries: SOURCE.registries });
  });

  it('build now: the branch of the rule, a commit, or what is asked for', async () => {
    const { id, key } = await gateway.tenant();
    await create(key);
    const now = (what: object) => gateway.call<BuildView & ErrorBody>(key, 'POST', '/v1/build-sources/web/builds', what);
    const first = await now({});
    expect(first).toMatchObject({ status: 202, body: { state: 'queued', source: 'git', git: { ...SOURCE.git, ref: 'refs/heads/main' }, tags: ['docker.io/team/web:main'], buildArgs: ['MODE'], secrets: ['GIT_AUTH_TOKEN'] } });
    expect(first.headers.get('location')).toBe(`/v1/builds/${first.body.id}`);
    expect((await gateway.call<BuildView>(key, 'GET', `/v1/builds/${first.body.id}`)).body.id).toBe(first.body.id);
    expect((await now({ commit: COMMIT })).body).toMatchObject({ git: { ref: COMMIT }, tags: ['docker.io/team/web:main', 'docker.io/team/web:0123456'] });
    const third = await now({ branch: 'feature/x' });
    expect(third.body).toMatchObject({ git: { ref: 'refs/heads/feature/x' }, tags: ['docker.io/team/web:feature-x'] });
    expect((await gateway.call<BuildSourceView>(key, 'GET', '/v1/build-sources/web')).body.lastBuildId).toBe(third.body.id);
    expect(parcels(id)[0]).toMatchObject({ source: { kind: 'git', ...SOURCE.git, ref: 'refs/heads/main' }, secrets: { GIT_AUTH_TOKEN: { content: 'a-token' } } });
    expect((await now({ branch: 'a', tag: 'b' })).status).toBe(400);
    expect((await now({ commit: 'main' })).status).toBe(400);
    await gateway.call(key, 'PATCH', '/v1/build-sources/web', { on: { branch: '*' }, tags: ['app:{sha}'] });
    expect((await now({})).body.error.details).toMatchObject({ issues: [{ path: 'branch' }] });
    expect((await now({ branch: 'main' })).body.error.details).toMatchObject({ issues: [{ path: 'commit' }] });
  });

  it('of another tenant are as if they were not there', async () => {
    const owner = await gateway.tenant();
    const stranger = await gateway.tenant();
    const { id } = await create(owner.key);
    const routes = [['GET', ''], ['PATCH', '', {}], ['DELETE', ''], ['POST', '/secret'], ['POST', '/builds', {}], ['GET', '/deliveries']] as const;
    for (const [method, rest, body] of routes) {
      for (const ref of [id, 'web']) {
        const foreign = await gateway.call<ErrorBody>(stranger.key, method, `/v1/build-sources/${ref}${rest}`, body);
        const unknown = await gateway.call<ErrorBody>(stranger.key, method, `/v1/build-sources/nothing${rest}`, body);
        expect(foreign.status).toBe(404);
        expect({ ...foreign.body.error, requestId: '' }).toEqual({ ...unknown.body.error, requestId: '' });
      }
    }
    expect((await gateway.call<Page<BuildSourceView>>(stranger.key, 'GET', '/v1/build-sources')).body.items).toEqual([]);
    await create(stranger.key);
    expect((await gateway.call(owner.key, 'GET', `/v1/build-sources/${id}`)).status).toBe(200);
  });

  it('need host:read to be seen and host:write to be changed or built', async () => {
    const { key } = await gateway.tenant({}, TENANT_SCOPES.filter((scope) => scope !== 'host:write'));
    expect((await gateway.call(key, 'GET', '/v1/build-sources')).status).toBe(200);
    expect((await gateway.call(key, 'POST', '/v1/build-sources', SOURCE)).status).toBe(403);
  });

  it('are forgotten with their webhook', async () => {
    const { key } = await gateway.tenant();
    const { webhookPath } = await create(key);
    expect((await gateway.call(key, 'DELETE', '/v1/build-sources/web')).status).toBe(204);
    expect((await gateway.call(key, 'DELETE', '/v1/build-sources/web')).status).toBe(404);
    expect((await gateway.call(undefined, 'POST', webhookPath, {})).status).toBe(401);
  });
});
