import type { ApiKeyView, CreatedApiKey, ErrorBody, TenantView } from '#contracts';
import { newId, silentLogger, type ApiKeyId, type TenantId } from '#kernel';
import { EVERY_SUBJECT } from '#queue';
import { createGateway, closeGateway } from '../gateway.js';
import { DEFAULT_SETTINGS } from '../platform/settings.js';
import { startFixture, type Fixture } from '../testing/gateway-fixture.contract.js';
import { newKeySecret } from './api-key-secret.js';
import { KeyAuthenticator } from './key-authenticator.service.js';

describe('keys and tenants', () => {
  let gateway: Fixture;
  beforeAll(async () => {
    gateway = await startFixture();
  }, 60_000);
  afterAll(() => gateway.stop());

  it('says who a key is', async () => {
    const { id, key, keyId } = await gateway.tenant({ concurrentRuns: 3 });
    const me = await gateway.call<{ keyId: string; tenant: TenantView }>(key, 'GET', '/v1/me');
    expect({ keyId: me.body.keyId, tenant: me.body.tenant.id, limit: me.body.tenant.limits.concurrentRuns }).toEqual({ keyId, tenant: id, limit: 3 });
    expect((await gateway.call<{ tenant: null }>(gateway.adminKey, 'GET', '/v1/me')).body.tenant).toBeNull();
  });

  it('revokes a key at once', async () => {
    const { id, key } = await gateway.tenant();
    const other = await gateway.call<CreatedApiKey>(key, 'POST', '/v1/keys', { name: 'second' });
    expect((await gateway.call(other.body.key, 'GET', '/v1/me')).status).toBe(200);
    expect((await gateway.call(key, 'DELETE', `/v1/keys/${other.body.id}`)).status).toBe(204);
    expect((await gateway.call(other.body.key, 'GET', '/v1/me')).status).toBe(401);
    expect((await gateway.call(key, 'DELETE', `/v1/keys/${other.body.id}`)).status).toBe(204);
    const listed = await gateway.call<{ items: ApiKeyView[] }>(gateway.adminKey, 'GET', `/v1/tenants/${id}/keys`);
    expect(listed.body.items.map(({ revokedAt }) => revokedAt !== null)).toEqual([false, true]);
    expect(JSON.stringify(listed.body)).not.toContain(other.body.key);
    expect(JSON.stringify(listed.body)).not.toContain('hash');
  });

  it('revokes it on another gateway too', async () => {
    const { platform: { repositories } } = gateway;
    const second = await createGateway({ platform: gateway.platform, logger: silentLogger, settings: { ...DEFAULT_SETTINGS, nodeRpcToken: 't', reconcileIntervalMs: 3_600_000 } });
    const { id, key, keyId } = await gateway.tenant();
    const elsewhere = second.get(KeyAuthenticator, { strict: false });
    await elsewhere.authenticate(`Bearer ${key}`);
    // Behind its back: it still believes what it read, so what follows is the announcement's doing.
    await repositories.apiKeys.revoke(id as TenantId, keyId as ApiKeyId, new Date());
    await elsewhere.authenticate(`Bearer ${key}`);
    await gateway.call(gateway.adminKey, 'DELETE', `/v1/tenants/${id}/keys/${keyId}`);
    await new Promise((resolve) => setTimeout(resolve, 100));
    await expect(elsewhere.authenticate(`Bearer ${key}`)).rejects.toMatchObject({ code: 'unauthenticated' });
    await closeGateway(second);
  });

  it('forgets every caller when announcements may have been missed', async () => {
    const { platform } = gateway;
    const { id, key, keyId } = await gateway.tenant();
    const { id: otherId, key: other } = await gateway.tenant();
    for (const one of [key, other]) expect((await gateway.call(one, 'GET', '/v1/me')).status).toBe(200);
    // On a gateway whose announcement this one did not hear.
    await platform.repositories.apiKeys.revoke(id as TenantId, keyId as ApiKeyId, new Date());
    await platform.repositories.tenants.delete(otherId as TenantId);
    for (const one of [key, other]) expect((await gateway.call(one, 'GET', '/v1/me')).status).toBe(200);
    await platform.invalidation.announce(EVERY_SUBJECT);
    await new Promise((resolve) => setTimeout(resolve, 100));
    for (const one of [key, other]) expect((await gateway.call(one, 'GET', '/v1/me')).status).toBe(401);
  });

  it('refuses an expired key, and one that gives more than it has', async () => {
    const { id, key } = await gateway.tenant();
    const past = await gateway.call<ErrorBody>(key, 'POST', '/v1/keys', { name: 'x', expiresAt: '2020-01-01T00:00:00Z' });
    expect(past.status).toBe(400);
    const soon = new Date(gateway.clock.now() + 60_000).toISOString();
    const short = await gateway.call<CreatedApiKey>(key, 'POST', '/v1/keys', { name: 'x', expiresAt: soon });
    expect((await gateway.call(short.body.key, 'GET', '/v1/me')).status).toBe(200);
    gateway.clock.offset += 61_000;
    expect((await gateway.call(short.body.key, 'GET', '/v1/me')).status).toBe(401);
    const weak = await gateway.call<CreatedApiKey>(gateway.adminKey, 'POST', `/v1/tenants/${id}/keys`, { name: 'w', scopes: ['keys:write'] });
    const more = await gateway.call<ErrorBody>(weak.body.key, 'POST', '/v1/keys', { name: 'x', scopes: ['keys:write', 'runs:write'] });
    expect({ status: more.status, details: more.body.error.details }).toEqual({ status: 403, details: { scopes: ['runs:write'] } });
    expect((await gateway.call(key, 'POST', '/v1/keys', { name: 'x', scopes: ['admin'] })).status).toBe(400);
  });

  it('notes the last use', async () => {
    const { id, key } = await gateway.tenant();
    await gateway.call(key, 'GET', '/v1/me');
    await gateway.app.get(KeyAuthenticator, { strict: false }).flushUses();
    const listed = await gateway.call<{ items: ApiKeyView[] }>(gateway.adminKey, 'GET', `/v1/tenants/${id}/keys`);
    expect(listed.body.items[0]?.lastUsedAt).not.toBeNull();
  });

  it('never takes a tenant key with the scope admin for the operator', async () => {
    const { id } = await gateway.tenant();
    const forged = newKeySecret();
    await gateway.platform.repositories.apiKeys.create(id as never, { id: newId('apiKey'), tenantId: id as never, name: 'x', prefix: forged.prefix, hash: forged.hash, scopes: ['admin'], createdAt: new Date(), expiresAt: null, lastUsedAt: null, revokedAt: null });
    expect((await gateway.call(forged.secret, 'GET', '/v1/tenants')).status).toBe(403);
  });

  it('holds a tenant to its rate and says when to come back; other tenants are free', async () => {
    const slow = await gateway.tenant({ requestsPerSecond: 0.5, requestBurst: 3 });
    const statuses: number[] = [];
    let last = await gateway.call<ErrorBody>(slow.key, 'GET', '/v1/me');
    for (let count = 0; count < 4; count += 1) {
      statuses.push(last.status);
      last = await gateway.call<ErrorBody>(slow.key, 'GET', '/v1/me');
    }
    expect(statuses).toEqual([200, 200, 200, 429]);
    expect(last.body.error.code).toBe('rate_limited');
    expect(Number(last.headers.get('retry-after'))).toBeGreaterThan(0);
    expect((await gateway.call((await gateway.tenant()).key, 'GET', '/v1/me')).status).toBe(200);
  });

  it('updates and deletes tenants; a name is taken once', async () => {
    const { id, key } = await gateway.tenant({ queuedRuns: 5 });
    const patched = await gateway.call<TenantView>(gateway.adminKey, 'PATCH', `/v1/tenants/${id}`, { limits: { concurrentRuns: 7 } });
    // What is not given stays, be it the default or not.
    expect(patched.body.limits).toMatchObject({ concurrentRuns: 7, queuedRuns: 5, requestBurst: 200 });
    const me = await gateway.call<{ tenant: TenantView }>(key, 'GET', '/v1/me');
    expect(me.body.tenant.limits.concurrentRuns).toBe(7);
    const taken = await gateway.call<ErrorBody>(gateway.adminKey, 'POST', '/v1/tenants', { name: patched.body.name });
    expect({ status: taken.status, message: taken.body.error.message }).toEqual({ status: 409, message: `name: there is a tenant ${patched.body.name} already` });
    expect((await gateway.call(gateway.adminKey, 'DELETE', `/v1/tenants/${id}`)).status).toBe(204);
    expect((await gateway.call(key, 'GET', '/v1/me')).status).toBe(401);
    expect((await gateway.call(gateway.adminKey, 'DELETE', `/v1/tenants/${id}`)).status).toBe(404);
  });

  it('answers failed authentications with 429 after some, and a good key still with 200', async () => {
    const { key } = await gateway.tenant();
    const statuses = new Set<number>();
    for (let count = 0; count < 80; count += 1) statuses.add((await gateway.call(`sbk_${'y'.repeat(43)}`, 'GET', '/v1/me')).status);
    expect(statuses).toEqual(new Set([401, 429]));
    expect((await gateway.call(key, 'GET', '/v1/me')).status).toBe(200);
  });
});
