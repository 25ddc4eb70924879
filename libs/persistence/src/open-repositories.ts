import { PrismaPg } from '@prisma/adapter-pg';
import type { Logger } from '#kernel';
import { Pool } from 'pg';
import { PostgresApiKeyRepository } from './api-keys.repository.js';
import { PostgresBuildDeliveryRepository } from './build-deliveries.repository.js';
import { PostgresBuildLogRepository } from './build-logs.repository.js';
import { PostgresBuildSourceRepository } from './build-sources.repository.js';
import { PostgresBuildRepository } from './builds.repository.js';
import { toCodedError, withCodedErrors } from './coded-errors.js';
import { PrismaClient } from './generated/client.js';
import { PostgresOperationRepository } from './operations.repository.js';
import type { Repositories } from './repositories.js';
import { PostgresRunLogRepository } from './run-logs.repository.js';
import { PostgresRunRepository } from './runs.repository.js';
import { PostgresTenantRepository } from './tenants.repository.js';

export interface OpenRepositoriesOptions {
  /** `postgresql://user:password@host/database`, or with `?host=/folder` for the Unix socket in that folder. */
  readonly databaseUrl: string;
  readonly logger: Logger;
  /** Connections at once; default 10. */
  readonly poolSize?: number | undefined;
}

/**
 * Connects, and leaves the schema as it is: see `migrate`. Prisma and the batched statements share one pool.
 * @throws CodedError `unavailable`
 */
export async function openRepositories({ databaseUrl, logger, poolSize = 10 }: OpenRepositoriesOptions): Promise<Repositories> {
  const pool = new Pool({ connectionString: databaseUrl, max: poolSize, connectionTimeoutMillis: 5000, application_name: 'sandbar' });
  // Without a listener the loss of an idle connection would end the process.
  pool.on('error', (error) => {
    logger.warn({ err: error }, 'lost a database connection');
  });
  const prisma = new PrismaClient({ adapter: new PrismaPg(pool) });
  const ping = async (): Promise<void> => {
    try {
      await pool.query('select 1');
    } catch (error) {
      throw toCodedError(error);
    }
  };
  let closing: Promise<void> | undefined;
  const close = async (): Promise<void> => {
    await prisma.$disconnect();
    await pool.end();
  };
  try {
    await ping();
  } catch (error) {
    await close();
    throw error;
  }
  return {
    tenants: withCodedErrors(new PostgresTenantRepository(prisma)),
    apiKeys: withCodedErrors(new PostgresApiKeyRepository(prisma, pool)),
    runs: withCodedErrors(new PostgresRunRepository(prisma, pool)),
    runLogs: withCodedErrors(new PostgresRunLogRepository(prisma)),
    operations: withCodedErrors(new PostgresOperationRepository(prisma)),
    builds: withCodedErrors(new PostgresBuildRepository(prisma)),
    buildLogs: withCodedErrors(new PostgresBuildLogRepository(prisma)),
    buildSources: withCodedErrors(new PostgresBuildSourceRepository(prisma)),
    buildDeliveries: withCodedErrors(new PostgresBuildDeliveryRepository(prisma)),
    ping,
    close: () => (closing ??= close()),
  };
}
