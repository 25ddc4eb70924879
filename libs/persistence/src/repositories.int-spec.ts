import { jest } from '@jest/globals';
import type { LogFrame } from '#contracts';
import { newId, silentLogger, type TenantId } from '#kernel';
import { anApiKey, anOutcome, aRunSpec, aTenant, startPostgresServer, startTestPostgres, type TestPostgres } from '#testing';
import { migrate } from './migrate.js';
import { openRepositories } from './open-repositories.js';
import type { Repositories } from './repositories.js';

// Some rows here are as large as rows get.
jest.setTimeout(30_000);

let postgres: TestPostgres;
let repositories: Repositories;

beforeAll(async () => {
  postgres = await startTestPostgres();
  repositories = await openRepositories({ databaseUrl: postgres.url, logger: silentLogger });
});
afterAll(async () => {
  await repositories.close();
  await postgres.stop();
});

describe('tenants', () => {
  it('are kept', async () => {
    const tenant = aTenant();
    await repositories.tenants.create(tenant);
    expect(await repositories.tenants.find(tenant.id)).toEqual(tenant);
    const limits = { ...tenant.limits, concurrentRuns: 3, requestsPerSecond: 0.5 };
    expect(await repositories.tenants.updateLimits(tenant.id, limits)).toEqual({ ...tenant, limits });
    expect(await repositories.tenants.find(newId('tenant'))).toBeUndefined();
    await expect(repositories.tenants.updateLimits(newId('tenant'), limits)).rejects.toMatchObject({ code: 'not_found' });
  });

  it('have a name of their own', async () => {
    const tenant = aTenant();
    await repositories.tenants.create(tenant);
    await expect(repositories.tenants.create(aTenant({ name: tenant.name }))).rejects.toMatchObject({ code: 'already_exists' });
  });

  it('are listed oldest first, page by page', async () => {
    const made = [1, 2, 3].map((time) => aTenant({ id: newId('tenant', time) }));
    for (const tenant of made) await repositories.tenants.create(tenant);
    const first = await repositories.tenants.list({ limit: 2 });
    expect(first.items).toEqual(made.slice(0, 2));
    expect((await repositories.tenants.list({ limit: 1, cursor: first.nextCursor! })).items).toEqual(made.slice(2));
    await expect(repositories.tenants.list({ limit: 1, cursor: Buffer.from(newId('run')).toString('base64url') })).rejects.toMatchObject({ code: 'invalid_argument' });
  });

  it('go with all that is theirs, once their runs are over', async () => {
    const tenant = aTenant();
    await repositories.tenants.create(tenant);
    const key = anApiKey(tenant.id);
    await repositories.apiKeys.create(tenant.id, key);
    const id = newId('run');
    await repositories.runs.create(tenant.id, { id, spec: aRunSpec(), createdAt: new Date() });
    await expect(repositories.tenants.delete(tenant.id)).rejects.toMatchObject({ code: 'failed_precondition', details: { unfinishedRuns: 1 } });
    await repositories.runs.markFinished([{ tenantId: tenant.id, id, epoch: 1, at: new Date(), outcome: anOutcome() }]);
    await repositories.runLogs.save(tenant.id, id, []);
    await repositories.tenants.delete(tenant.id);
    expect(await repositories.apiKeys.findByHash(key.hash)).toBeUndefined();
    expect(await repositories.runs.find(tenant.id, id)).toBeUndefined();
    await expect(repositories.tenants.delete(tenant.id)).rejects.toMatchObject({ code: 'not_found' });
  });

  it('never go while a run comes', async () => {
    for (let round = 0; round < 10; round += 1) {
      const tenant = aTenant();
      await repositories.tenants.create(tenant);
      const [made, deleted] = await Promise.allSettled([repositories.runs.create(tenant.id, { id: newId('run'), spec: aRunSpec(), createdAt: new Date() }), repositories.tenants.delete(tenant.id)]);
      expect([made.status, deleted.status].sort()).toEqual(['fulfilled', 'rejected']);
    }
  });
});

describe('API keys', () => {
  let tenantId: TenantId;
  beforeEach(async () => {
    const tenant = aTenant();
    await repositories.tenants.create(tenant);
    tenantId = tenant.id;
  });

  it('lead to their tenant', async () => {
    const key = anApiKey(tenantId, { scopes: ['runs:read', 'keys:write'], expiresAt: new Date(5) });
    await repositories.apiKeys.create(tenantId, key);
    expect(await repositories.apiKeys.findByHash(key.hash)).toEqual({ key, tenant: await repositories.tenants.find(tenantId) });
    const operators = anApiKey(null, { scopes: ['admin'] });
    await repositories.apiKeys.create(null, operators);
    expect(await repositories.apiKeys.findByHash(operators.hash)).toEqual({ key: operators, tenant: null });
    expect(await repositories.apiKeys.findByHash('none')).toBeUndefined();
    expect(await repositories.apiKeys.findById(key.id)).toEqual({ key, tenant: await repositories.tenants.find(tenantId) });
    expect(await repositories.apiKeys.findById(newId('apiKey'))).toBeUndefined();
    expect(await repositories.apiKeys.list(tenantId)).toEqual([key]);
    expect(await repositories.apiKeys.list(null)).toEqual([operators]);
  });

  it('are refused twice, and for nobody', async () => {
    const key = anApiKey(tenantId);
    await repositories.apiKeys.create(tenantId, key);
    await expect(repositories.apiKeys.create(tenantId, anApiKey(tenantId, { hash: key.hash }))).rejects.toMatchObject({ code: 'already_exists' });
    const nobody = newId('tenant');
    await expect(repositories.apiKeys.create(nobody, anApiKey(nobody))).rejects.toMatchObject({ code: 'not_found' });
    await expect(repositories.apiKeys.create(tenantId, anApiKey(tenantId, { name: 'a\0b' }))).rejects.toMatchObject({ code: 'invalid_argument' });
  });

  it('are revoked once', async () => {
    const key = anApiKey(tenantId);
    await repositories.apiKeys.create(tenantId, key);
    expect((await repositories.apiKeys.revoke(tenantId, key.id, new Date(1))).revokedAt).toEqual(new Date(1));
    expect((await repositories.apiKeys.revoke(tenantId, key.id, new Date(2))).revokedAt).toEqual(new Date(1));
    await expect(repositories.apiKeys.revoke(tenantId, newId('apiKey'), new Date())).rejects.toMatchObject({ code: 'not_found' });
  });

  it('remember their last use, which never moves backwards', async () => {
    const [used, unused] = [anApiKey(tenantId), anApiKey(tenantId)];
    for (const key of [used, unused]) await repositories.apiKeys.create(tenantId, key);
    for (const time of [100, 50]) await repositories.apiKeys.touch(new Map([[used.id, new Date(time)], [newId('apiKey'), new Date()]]));
    await repositories.apiKeys.touch(new Map());
    const lastUses = new Map((await repositories.apiKeys.list(tenantId)).map((key) => [key.id, key.lastUsedAt]));
    expect(lastUses).toEqual(new Map([[used.id, new Date(100)], [unused.id, null]]));
  });
});

describe('run logs', () => {
  it('are kept exactly; the first one stays', async () => {
    const tenant = aTenant();
    await repositories.tenants.create(tenant);
    const id = newId('run');
    await repositories.runs.create(tenant.id, { id, spec: aRunSpec(), createdAt: new Date() });
    expect(await repositories.runLogs.load(tenant.id, id)).toBeUndefined();
    const output = { type: 'output' as const, step: 'run' as const, stream: 'stdout' as const, encoding: 'utf8' as const, time: 5 };
    const frames: LogFrame[] = [
      { ...output, seq: 1, data: '\0a\u2028😀' },
      { ...output, seq: 2, data: 'x'.repeat(20 * 1024 * 1024) },
      { seq: 3, type: 'end', state: 'succeeded', exitCode: 0, signal: null, time: 6 },
    ];
    await repositories.runLogs.save(tenant.id, id, frames);
    await repositories.runLogs.save(tenant.id, id, []);
    expect(await repositories.runLogs.load(tenant.id, id)).toEqual(frames);
    await expect(repositories.runLogs.save(tenant.id, newId('run'), [])).rejects.toMatchObject({ code: 'not_found' });
  });
});

describe('a database that goes away', () => {
  it('is unavailable, and the process goes on', async () => {
    const server = await startPostgresServer();
    await migrate(server.adminUrl);
    const lost: string[] = [];
    const logger = { ...silentLogger, warn: (_: object, message: string) => void lost.push(message) };
    const open = await openRepositories({ databaseUrl: server.adminUrl, logger });
    await open.tenants.list({ limit: 1 });
    await server.stop();
    await expect(open.ping()).rejects.toMatchObject({ code: 'unavailable' });
    await expect(open.tenants.find(newId('tenant'))).rejects.toMatchObject({ code: 'unavailable' });
    await expect(open.tenants.delete(newId('tenant'))).rejects.toMatchObject({ code: 'unavailable' });
    await expect(open.runs.listUnfinished()).rejects.toMatchObject({ code: 'unavailable' });
    await open.close();
    await open.close();
    expect(lost).toContain('lost a database connection');
    await expect(openRepositories({ databaseUrl: server.adminUrl, logger })).rejects.toMatchObject({ code: 'unavailable' });
  });
});
