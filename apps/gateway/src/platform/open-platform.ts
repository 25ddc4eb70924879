import { Redis } from 'ioredis';
import type { GatewayConfig } from '#config';
import type { Logger } from '#kernel';
import { openRepositories } from '#persistence';
import { createControlQueues } from '#queue';
import type { Platform } from './platform.js';

export interface OpenPlatform {
  readonly platform: Platform;
  close(): Promise<void>;
}

/** Connects to PostgreSQL and Redis. @throws CodedError `unavailable` */
export async function openPlatform(config: Pick<GatewayConfig, 'databaseUrl' | 'redis'>, logger: Logger): Promise<OpenPlatform> {
  const repositories = await openRepositories({ databaseUrl: config.databaseUrl, logger });
  // Hasty: a caller waits for the answer. What fails here is retried (the lease), insured (rate limits) or answered with 503.
  const redis = new Redis({ ...config.redis, connectionName: 'sandbar-gateway', maxRetriesPerRequest: 3, enableAutoPipelining: false, retryStrategy: (tries) => Math.min(25 * tries, 500) });
  redis.on('error', (error: Error) => {
    logger.debug({ error: error.message }, 'Redis is out of reach');
  });
  try {
    const { runs, authInvalidation, ...queues } = await createControlQueues(config.redis, logger);
    return {
      platform: { ...queues, repositories, redis, queue: runs, invalidation: authInvalidation },
      close: async () => {
        await queues.close();
        redis.disconnect();
        await repositories.close();
      },
    };
  } catch (error) {
    redis.disconnect();
    await repositories.close();
    throw error;
  }
}

