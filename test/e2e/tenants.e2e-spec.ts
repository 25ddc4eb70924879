import WebSocket from 'ws';
import type { Page, RunView } from '#contracts';
import { startPlatform, type Platform } from '#testing';
import { ApiClient } from './api-client.js';
import { stopAndExpectNothingLeft } from './nothing-left.js';

describe('two tenants', () => {
  let platform: Platform;
  let alice: ApiClient;
  let bob: ApiClient;
  let bobKey: string;

  beforeAll(async () => {
    platform = await startPlatform();
    const base = new ApiClient(platform.url);
    alice = base.withKey((await platform.newTenant('alice', { concurrentRuns: 2, queuedRuns: 3 })).apiKey);
    bobKey = (await platform.newTenant('bob', { concurrentRuns: 2 })).apiKey;
    bob = base.withKey(bobKey);
  }, 180_000);
  afterAll(async () => {
    await stopAndExpectNothingLeft(platform);
  }, 60_000);

  it("another tenant's run is not found, exactly as one that does not exist", async () => {
    const run = await alice.submit({ runtime: 'bash', code: 'sleep 5; echo mine', labels: { secret: 'yes' } });
    for (const [method, path, body] of [
      ['GET', `/v1/runs/${run.id}`, undefined],
      ['POST', `/v1/runs/${run.id}/cancel`, undefined],
      ['POST', `/v1/runs/${run.id}/stdin`, { data: 'x' }],
      ['GET', `/v1/runs/${run.id}/logs`, undefined],
    ] as const) {
      const foreign = await bob.expectError(method, path, body);
      const unknown = await bob.expectError(method, path.replace(run.id, 'run_01234567890123456789012345'), body);
      expect(foreign.status).toBe(404);
      expect({ ...foreign.error, requestId: '' }).toEqual({ ...unknown.error, requestId: '' });
    }
    expect((await bob.call<Page<RunView>>('GET', '/v1/runs')).body.items.map(({ id }) => id)).not.toContain(run.id);
    expect(await alice.until(run.id, ({ state }) => state !== 'queued' && state !== 'running')).toMatchObject({ state: 'succeeded', stdout: 'mine\n' });
  }, 60_000);

  it("another tenant's log is refused on the upgrade", async () => {
    const run = await alice.submit({ runtime: 'bash', code: 'echo private' });
    const status = await new Promise<number>((resolve, reject) => {
      const socket = new WebSocket(`${platform.url.replace('http', 'ws')}/v1/runs/${run.id}/logs`, { headers: { authorization: `Bearer ${bobKey}` } });
      socket.on('unexpected-response', (_request, answer) => {
        resolve(answer.statusCode ?? 0);
      });
      socket.on('open', () => {
        reject(new Error('the socket was opened'));
      });
      socket.on('error', () => undefined);
    });
    expect(status).toBe(404);
    await alice.until(run.id, ({ state }) => state === 'succeeded');
  }, 60_000);

  it('one tenant at its limits is refused, and the other is served', async () => {
    const long = { runtime: 'bash', code: 'sleep 60', limits: { wallTimeMs: 60_000 } };
    const taken = [];
    for (let n = 0; n < 5; n += 1) taken.push(await alice.submit(long));
    expect(await alice.expectError('POST', '/v1/runs', long)).toMatchObject({ status: 429, error: { code: 'quota_exceeded' } });

    expect(await bob.run({ runtime: 'bash', code: 'echo served' })).toMatchObject({ state: 'succeeded', stdout: 'served\n' });
    // Two execute, three wait their turn.
    await alice.until(taken[1]!.id, ({ state }) => state === 'running');
    const states = await Promise.all(taken.map(async ({ id }) => (await alice.get(id)).state));
    expect(states.filter((state) => state === 'running')).toHaveLength(2);
    expect(states.filter((state) => state === 'queued')).toHaveLength(3);

    for (const { id } of taken.reverse()) expect((await alice.call('POST', `/v1/runs/${id}/cancel`)).status).toBeLessThan(300);
    for (const { id } of taken) expect(await alice.until(id, ({ state }) => state !== 'queued' && state !== 'running')).toMatchObject({ state: 'cancelled' });
    expect(await alice.run({ runtime: 'bash', code: 'echo again' })).toMatchObject({ stdout: 'again\n' });
  }, 90_000);

  it('the same idempotency key belongs to each tenant alone', async () => {
    const headers = { 'idempotency-key': 'the-same-key' };
    const spec = { runtime: 'bash', code: 'echo once' };
    const first = await alice.call<RunView>('POST', '/v1/runs', spec, headers);
    const again = await alice.call<RunView>('POST', '/v1/runs', spec, headers);
    const others = await bob.call<RunView>('POST', '/v1/runs', spec, headers);
    expect(again.body.id).toBe(first.body.id);
    expect(others.body.id).not.toBe(first.body.id);
    expect(await alice.expectError('POST', '/v1/runs', { ...spec, code: 'echo twice' }, headers)).toMatchObject({ status: 409, error: { code: 'conflict' } });
  });

  it('a tenant key has no power over tenants', async () => {
    for (const [method, path] of [['GET', '/v1/tenants'], ['POST', '/v1/tenants']] as const) {
      expect(await bob.expectError(method, path, method === 'POST' ? { name: 'mallory' } : undefined)).toMatchObject({ status: 403, error: { code: 'permission_denied' } });
    }
  });

  it('a deleted tenant is gone with its keys', async () => {
    const carol = await platform.newTenant('carol');
    const client = alice.withKey(carol.apiKey);
    await client.run({ runtime: 'bash', code: 'true' });
    const admin = alice.withKey(platform.adminKey);
    expect((await admin.call('DELETE', `/v1/tenants/${carol.id}`)).status).toBeLessThan(300);
    expect(await client.expectError('GET', '/v1/runs')).toMatchObject({ status: 401 });
  });
});
