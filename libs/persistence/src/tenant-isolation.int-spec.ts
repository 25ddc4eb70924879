import { silentLogger } from '#kernel';
import { startTestPostgres } from '#testing';
import { openRepositories } from './open-repositories.js';
import { describeTenantIsolation } from './tenant-isolation.contract.js';

describeTenantIsolation('PostgreSQL repositories', async () => {
  const postgres = await startTestPostgres();
  const repositories = await openRepositories({ databaseUrl: postgres.url, logger: silentLogger });
  const cleanup = async (): Promise<void> => {
    await repositories.close();
    await postgres.stop();
  };
  return { repositories, cleanup };
});
