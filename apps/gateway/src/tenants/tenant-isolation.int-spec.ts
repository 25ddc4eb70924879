import type { CreatedApiKey, ErrorBody, Page, RunView } from '#contracts';
import { newId } from '#kernel';
import { startFixture, type Fixture } from '../testing/gateway-fixture.contract.js';
import { runsUntilCancelled } from '../testing/simulated-node.contract.js';

/** Every route that names an object of a tenant, with the tenant's own id in it. The upgrade of /logs is in run-logs.int-spec. */
const ROUTES: readonly [string, string, object | undefined][] = [
  ['GET', '/v1/runs/:run', undefined],
  ['POST', '/v1/runs/:run/cancel', undefined],
  ['POST', '/v1/runs/:run/stdin', { data: 'x' }],
  ['GET', '/v1/runs/:run/logs', undefined],
  ['GET', '/v1/runs/:run/logs?follow=false', undefined],
  ['DELETE', '/v1/keys/:key', undefined],
];

describe('another tenant', () => {
  let gateway: Fixture;
  let owner: { id: string; key: string; keyId: string };
  let stranger: { id: string; key: string };
  let run: string;
  beforeAll(async () => {
    gateway = await startFixture();
    await gateway.node(runsUntilCancelled);
    owner = await gateway.tenant({ concurrentRuns: 1, queuedRuns: 0 });
    stranger = await gateway.tenant({ concurrentRuns: 1, queuedRuns: 0 });
    run = (await gateway.call<RunView>(owner.key, 'POST', '/v1/runs', { runtime: 'python', code: 'x', stdinOpen: true }, { 'idempotency-key': 'k' })).body.id;
    await gateway.untilState(owner.key, run, 'running');
  }, 60_000);
  afterAll(() => gateway.stop(), 20_000);

  it.each(ROUTES)('%s %s is as if it were not there', async (method, path, body) => {
    const fill = (runId: string, keyId: string): string => path.replace(':run', runId).replace(':key', keyId);
    const foreign = await gateway.call<ErrorBody>(stranger.key, method, fill(run, owner.keyId), body);
    const unknown = await gateway.call<ErrorBody>(stranger.key, method, fill(newId('run'), newId('apiKey')), body);
    expect(foreign.status).toBe(404);
    expect({ ...foreign.body.error, requestId: '' }).toEqual({ ...unknown.body.error, requestId: '' });
  });

  it('sees none of it in its lists, does not share idempotency keys, and is not counted against', async () => {
    expect((await gateway.call<Page<RunView>>(stranger.key, 'GET', '/v1/runs')).body.items).toEqual([]);
    expect((await gateway.call<{ items: CreatedApiKey[] }>(stranger.key, 'GET', '/v1/keys')).body.items.map(({ id }) => id)).not.toContain(owner.keyId);
    const same = await gateway.call<RunView>(stranger.key, 'POST', '/v1/runs', { runtime: 'python', code: 'x' }, { 'idempotency-key': 'k' });
    expect(same.status).toBe(202);
    expect(same.body.id).not.toBe(run);
    await gateway.untilState(stranger.key, same.body.id, 'running');
    expect((await gateway.call<RunView>(owner.key, 'GET', `/v1/runs/${run}`)).body.state).toBe('running');
    expect((await gateway.call<ErrorBody>(gateway.adminKey, 'DELETE', `/v1/tenants/${owner.id}`)).body.error.code).toBe('failed_precondition');
  });

  it('reads the API from a document that needs no other host', async () => {
    const document = (await gateway.call<{ paths: Record<string, Record<string, { responses: object; security?: unknown; requestBody?: unknown }>> }>(undefined, 'GET', '/docs/json')).body;
    const create = document.paths['/v1/runs']?.['post'];
    expect(create).toMatchObject({ security: [{ apiKey: [] }] });
    expect(JSON.stringify(create?.requestBody)).toContain('wallTimeMs');
    expect(Object.keys(create?.responses ?? {})).toEqual(expect.arrayContaining(['200', '202', '400', '401', '429']));
    const page = await gateway.call<string>(undefined, 'GET', '/docs');
    expect(page.status).toBe(200);
    expect(page.body).not.toMatch(/(src|href)="https?:/);
    expect((await gateway.call(undefined, 'GET', '/health/ready')).body).toMatchObject({ status: 'ok' });
    expect((await gateway.call<string>(undefined, 'GET', '/metrics')).body).toContain('sandbar_http_request_seconds');
  });
});
