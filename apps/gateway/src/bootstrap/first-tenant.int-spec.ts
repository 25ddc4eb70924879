import { silentLogger } from '#kernel';
import { openRepositories, type Repositories } from '#persistence';
import { startTestPostgres, type TestPostgres } from '#testing';
import { hashKeySecret } from '../auth/api-key-secret.js';
import { bootstrap } from './first-tenant.js';

describe('the first tenant', () => {
  let postgres: TestPostgres;
  let repositories: Repositories;
  beforeAll(async () => {
    postgres = await startTestPostgres();
    repositories = await openRepositories({ databaseUrl: postgres.url, logger: silentLogger });
  }, 60_000);
  afterAll(async () => {
    await repositories.close();
    await postgres.stop();
  });

  it('is made once; a reissue replaces its keys', async () => {
    const first = await bootstrap(repositories, { reissue: false });
    if ('exists' in first) throw new Error('nothing was made');
    expect(first.apiKey).toMatch(/^sbk_[A-Za-z0-9_-]{43}$/);
    expect((await repositories.apiKeys.findByHash(hashKeySecret(first.adminKey)))?.key).toMatchObject({ scopes: ['admin'], tenantId: null, revokedAt: null });
    expect((await repositories.apiKeys.findByHash(hashKeySecret(first.apiKey)))?.tenant?.id).toBe(first.tenant);

    expect(await bootstrap(repositories, { reissue: false })).toEqual({ exists: true });

    const second = await bootstrap(repositories, { reissue: true });
    if ('exists' in second) throw new Error('nothing was made');
    expect(second.tenant).toBe(first.tenant);
    expect(second.apiKey).not.toBe(first.apiKey);
    expect((await repositories.apiKeys.findByHash(hashKeySecret(first.apiKey)))?.key.revokedAt).not.toBeNull();
    expect((await repositories.tenants.list({ limit: 10 })).items).toHaveLength(1);
  });
});
