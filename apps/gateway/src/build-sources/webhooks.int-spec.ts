import { createHmac, randomUUID } from 'node:crypto';
import { createConnection } from 'node:net';
import type { BuildDeliveryView, BuildSourceView, BuildSummary, CreatedBuildSource, ErrorBody, Page, TenantLimits } from '#contracts';
import { startFixture, type Answer, type Fixture } from '../testing/gateway-fixture.contract.js';
import { MemoryHosts, MemoryOperations } from '../testing/virtual-hosts.contract.js';

const COMMIT = '0123456789abcdef0123456789abcdef01234567';
const NEXT = '89abcdef0123456789abcdef0123456789abcdef';
const URL_OF_SOURCE = 'https://git.example/web.git';
const pushOf = (more: object = {}): string => JSON.stringify({ ref: 'refs/heads/main', before: NEXT, after: COMMIT, repository: { clone_url: 'https://evil.example/x.git', git_url: 'git://evil.example/x.git' }, ...more });

type Received = Answer<BuildDeliveryView & ErrorBody>;

describe('webhooks', () => {
  let gateway: Fixture;
  let hosts: MemoryHosts;
  beforeAll(async () => {
    hosts = new MemoryHosts();
    gateway = await startFixture({ docker: { hosts, operations: new MemoryOperations(hosts) }, settings: { failedAuthenticationsPerMinute: 1000 } });
    await gateway.node();
  }, 60_000);
  afterAll(() => gateway.stop(), 30_000);

  interface Source extends CreatedBuildSource {
    readonly key: string;
  }
  const source = async (more: object = {}, limits: Partial<TenantLimits> = {}): Promise<Source> => {
    const { key } = await gateway.tenant(limits);
    const { body } = await gateway.call<CreatedBuildSource>(key, 'POST', '/v1/build-sources', { name: 'web', git: { url: URL_OF_SOURCE }, tags: ['web:{branch}', 'web:{sha}'], ...more });
    return { ...body, key };
  };
  const post = (path: string, body: string, headers: Record<string, string>): Promise<Received> => gateway.call(undefined, 'POST', path, body, headers);
  const github = ({ webhookPath, webhookSecret }: Pick<Source, 'webhookPath' | 'webhookSecret'>, body: string, headers: Record<string, string> = {}): Promise<Received> =>
    post(webhookPath, body, { 'x-github-event': 'push', 'x-github-delivery': randomUUID(), 'x-hub-signature-256': `sha256=${createHmac('sha256', webhookSecret).update(body).digest('hex')}`, ...headers });
  const builds = async ({ key }: Source): Promise<BuildSummary[]> => (await gateway.call<Page<BuildSummary>>(key, 'GET', '/v1/builds')).body.items;
  const deliveries = async ({ key }: Source): Promise<BuildDeliveryView[]> => (await gateway.call<Page<BuildDeliveryView>>(key, 'GET', '/v1/build-sources/web/deliveries')).body.items;

  it('of GitHub build the pushed commit from the registered address, and name it', async () => {
    const web = await source();
    const { status, body } = await github(web, pushOf());
    expect({ status, body }).toMatchObject({ status: 202, body: { event: 'push', ref: 'refs/heads/main', commit: COMMIT, state: 'built', reason: null } });
    expect(await builds(web)).toMatchObject([{ id: body.buildId, source: 'git', git: { url: URL_OF_SOURCE, ref: COMMIT }, tags: ['docker.io/library/web:main', `docker.io/library/web:${COMMIT}`] }]);
    expect(await deliveries(web)).toEqual([body]);
    expect((await gateway.call<BuildSourceView>(web.key, 'GET', '/v1/build-sources/web')).body).toMatchObject({ lastBuildId: body.buildId, lastDeliveryAt: body.receivedAt });
  });

  it('of GitHub may be forms', async () => {
    const web = await source();
    const body = `payload=${encodeURIComponent(pushOf())}`;
    expect((await github(web, body, { 'content-type': 'application/x-www-form-urlencoded' })).status).toBe(202);
  });

  it('of GitLab, by token or by signing token, of Gitea and of Forgejo build too', async () => {
    const web = await source();
    const seconds = String(Math.floor(gateway.clock.now() / 1000));
    const message = pushOf({ after: NEXT, checkout_sha: NEXT });
    const key = Buffer.from(web.webhookSecret.slice('whsec_'.length), 'base64');
    const signature = createHmac('sha256', key).update(`m1.${seconds}.${message}`).digest('base64');
    const plain = pushOf({ number: 3 });
    const bare = (text: string): string => createHmac('sha256', web.webhookSecret).update(text).digest('hex');
    const answers = [
      await post(web.webhookPath, pushOf(), { 'x-gitlab-event': 'Push Hook', 'x-gitlab-token': web.webhookSecret, 'idempotency-key': 'k1' }),
      await post(web.webhookPath, message, { 'x-gitlab-event': 'Push Hook', 'webhook-id': 'm1', 'webhook-timestamp': seconds, 'webhook-signature': `v1,${signature}` }),
      await post(web.webhookPath, plain, { 'x-gitea-event': 'push', 'x-gitea-delivery': 'g1', 'x-gitea-signature': bare(plain) }),
      await post(web.webhookPath, `${plain} `, { 'x-forgejo-event': 'push', 'x-forgejo-delivery': 'f1', 'x-forgejo-signature': bare(`${plain} `) }),
    ];
    expect(answers.map(({ status, body }) => ({ status, state: body.state }))).toEqual(Array(4).fill({ status: 202, state: 'built' }));
    expect(await builds(web)).toHaveLength(4);
  });

  it('build once, however often and under whatever name a delivery comes', async () => {
    const web = await source();
    const body = pushOf();
    const delivery = { 'x-github-delivery': 'same' };
    const answers = await Promise.all(Array.from({ length: 5 }, () => github(web, body, delivery)));
    expect(new Set(answers.map((one) => one.body.buildId)).size).toBe(1);
    expect(await github(web, body, delivery)).toMatchObject({ status: 200, body: { state: 'built', buildId: answers[0]?.body.buildId } });
    // The name is not signed: the body is.
    expect(await github(web, body, { 'x-github-delivery': 'another' })).toMatchObject({ status: 200, body: { buildId: answers[0]?.body.buildId } });
    const gitlab = { 'x-gitlab-event': 'Push Hook', 'x-gitlab-token': web.webhookSecret, 'idempotency-key': 'k' };
    const first = await post(web.webhookPath, pushOf({ n: 1 }), gitlab);
    expect(await post(web.webhookPath, pushOf({ n: 1 }), gitlab)).toMatchObject({ status: 200, body: { buildId: first.body.buildId } });
    expect(await builds(web)).toHaveLength(2);
    expect((await github(web, pushOf({ after: NEXT }))).status).toBe(202);
    expect(await builds(web)).toHaveLength(3);
  });

  it('are ignored, and say why, when there is nothing to build', async () => {
    const web = await source();
    const zero = '0'.repeat(40);
    const answers = [
      await github(web, '{"zen":"x"}', { 'x-github-event': 'ping' }),
      await github(web, '{}', { 'x-github-event': 'issues' }),
      await github(web, pushOf({ ref: 'refs/heads/side' })),
      await github(web, pushOf({ ref: 'refs/tags/main' })),
      await github(web, pushOf({ after: zero, deleted: true })),
    ];
    expect(answers.map(({ status, body: { state, reason } }) => ({ status, state, reason }))).toEqual(
      ['a ping: the webhook works', 'no push', 'the source builds the branch main', 'the source builds the branch main', 'the branch was deleted'].map((reason) => ({ status: 200, state: 'ignored', reason })),
    );
    expect(await builds(web)).toEqual([]);
    expect((await deliveries(web)).map(({ reason }) => reason)).toEqual(answers.map(({ body }) => body.reason).reverse());
  });

  it('build tags where the source says tags, and a push that was ignored before its rule was changed', async () => {
    const web = await source({ on: { tag: 'v*' }, tags: ['web:{tag}'] });
    const body = pushOf({ ref: 'refs/tags/v1.2', after: NEXT, head_commit: { id: COMMIT } });
    expect((await github(web, body)).body).toMatchObject({ state: 'built', commit: COMMIT });
    const branch = pushOf();
    expect((await github(web, branch)).body).toMatchObject({ state: 'ignored' });
    await gateway.call(web.key, 'PATCH', '/v1/build-sources/web', { on: { branch: 'm*' }, tags: ['web:{branch}'] });
    expect(await github(web, branch)).toMatchObject({ status: 202, body: { state: 'built' } });
  });

  it('that do not prove who sent them are told nothing, not even whether there is such a webhook', async () => {
    const web = await source();
    const other = await source();
    const body = pushOf();
    const wrong = { ...other, webhookPath: web.webhookPath };
    const answers = [
      await github(wrong, body),
      await github({ ...web, webhookPath: `/v1/webhooks/${'A'.repeat(22)}` }, body),
      await github({ ...web, webhookPath: '/v1/webhooks/nonsense' }, body),
      await github({ ...web, webhookPath: `/v1/webhooks/${web.id}` }, body),
      await github(web, body, { 'x-hub-signature-256': '' }),
      await github(web, body, { 'x-hub-signature-256': 'sha256=00', 'x-gitlab-token': web.webhookSecret }),
      await post(web.webhookPath, body, { 'x-github-event': 'push', authorization: `Bearer ${web.key}` }),
      await github(wrong, ''),
      await github(wrong, '{"broken'),
      await github(wrong, '{"ref":1}', { 'x-github-event': 'ping' }),
    ];
    for (const answer of answers) expect({ status: answer.status, error: { ...answer.body.error, requestId: '' } }).toEqual({ status: 401, error: { code: 'unauthenticated', message: 'no such webhook, or its signature is wrong', details: {}, requestId: '' } });
    expect(await deliveries(web)).toEqual([]);
    expect(await builds(web)).toEqual([]);
  });

  it('have to be signed with the newest secret', async () => {
    const web = await source();
    const { body } = await gateway.call<CreatedBuildSource>(web.key, 'POST', '/v1/build-sources/web/secret');
    expect(body.webhookPath).toBe(web.webhookPath);
    expect((await github(web, pushOf())).status).toBe(401);
    expect((await github(body, pushOf())).status).toBe(202);
  });

  it('that are signed and make no sense are refused', async () => {
    const web = await source();
    for (const body of ['', '[]', '{"ref":"refs/heads/main"}', '{"ref":"refs/heads/main","after":"--exec"}', '['.repeat(200_000)]) expect({ body: body.slice(0, 40), status: (await github(web, body)).status }).toEqual({ body: body.slice(0, 40), status: 400 });
    expect(await builds(web)).toEqual([]);
  });

  it('that cannot be built just now say so, and build when they are delivered again', async () => {
    const web = await source({}, { concurrentBuilds: 1, queuedBuilds: 0 });
    const blocking = await github(web, pushOf({ after: NEXT }));
    const body = pushOf();
    const refused = await github(web, body, { 'x-github-delivery': 'later' });
    expect(refused).toMatchObject({ status: 429, body: { error: { code: 'quota_exceeded' } } });
    expect(await deliveries(web)).toMatchObject([{ state: 'failed', reason: '1 builds of the tenant are not over', buildId: null }, { state: 'built' }]);
    await gateway.call(web.key, 'POST', `/v1/builds/${blocking.body.buildId ?? ''}/cancel`);
    expect(await github(web, body, { 'x-github-delivery': 'later' })).toMatchObject({ status: 202, body: { state: 'built' } });
    expect(await deliveries(web)).toMatchObject([{ state: 'built' }, { state: 'built' }]);
  });

  it('count against the rate of the tenant when they are right, and against the sender when they are wrong', async () => {
    const web = await source({}, { requestsPerSecond: 0.1, requestBurst: 3 });
    const answers: number[] = [];
    for (let n = 0; n < 3; n += 1) answers.push((await github(web, '{}', { 'x-github-event': 'ping', 'x-github-delivery': String(n) })).status);
    // Making the source was one of three.
    expect(answers).toEqual([200, 200, 429]);
    const strict = await startFixture({ settings: { failedAuthenticationsPerMinute: 2 } });
    try {
      const tries: number[] = [];
      for (let n = 0; n < 3; n += 1) tries.push((await strict.call(undefined, 'POST', `/v1/webhooks/${'A'.repeat(22)}`, '{}')).status);
      expect(tries).toEqual([401, 401, 429]);
    } finally {
      await strict.stop();
    }
  });

  it('have bodies of a few MiB at most, whether they announce it or not', async () => {
    const web = await source();
    const large = JSON.stringify({ ref: 'refs/heads/main', after: COMMIT, pad: 'x'.repeat(7 * 1024 * 1024) });
    expect((await github(web, large)).status).toBe(202);
    expect((await github(web, 'x'.repeat(9 * 1024 * 1024))).status).toBe(413);
    expect((await github({ ...web, webhookPath: `/v1/webhooks/${'A'.repeat(22)}` }, 'x'.repeat(9 * 1024 * 1024))).status).toBe(413);
    // On the same connection.
    expect((await github(web, '{}', { 'x-github-event': 'ping' })).status).toBe(200);
    const chunked = await new Promise<string>((resolve, reject) => {
      const socket = createConnection(Number(new URL(gateway.url).port), '127.0.0.1');
      let heard = '';
      socket.on('data', (data: Buffer) => { heard += data.toString(); });
      socket.on('error', reject);
      socket.on('close', () => { resolve(heard); });
      socket.write(`POST ${web.webhookPath} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n`);
      const piece = 'x'.repeat(1024 * 1024);
      for (let n = 0; n < 10; n += 1) socket.write(`${piece.length.toString(16)}\r\n${piece}\r\n`);
      socket.write('0\r\n\r\n');
    });
    expect(chunked).toMatch(/^HTTP\/1\.1 413 /);
  });

  it('keep the last hundred deliveries of a source', async () => {
    const web = await source({}, { requestsPerSecond: 10_000, requestBurst: 10_000 });
    for (let n = 0; n < 103; n += 1) await github(web, `{"n":${n}}`, { 'x-github-event': 'ping', 'x-github-delivery': `d${n}` });
    const page = await gateway.call<Page<BuildDeliveryView>>(web.key, 'GET', '/v1/build-sources/web/deliveries?limit=200');
    expect(page.body.items).toHaveLength(100);
  });
});
