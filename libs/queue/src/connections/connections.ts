import { Redis, type RedisOptions } from 'ioredis';
import type { Logger } from '#kernel';

/**
 * `patient`: a command waits for Redis as long as it takes. `hasty`: it fails after about a second, because a client waits for
 * the answer. Both reconnect for ever.
 */
export type Patience = 'patient' | 'hasty';

/** Opens the connections of one process and closes them together. */
export class RedisConnections {
  private readonly open = new Set<Redis>();

  constructor(
    private readonly options: RedisOptions,
    private readonly logger: Logger,
  ) {}

  /** A connection of its own for `purpose`, which Redis shows in CLIENT LIST. */
  connect(purpose: string, patience: Patience): Redis {
    const redis = new Redis({
      ...this.options,
      connectionName: `sandbar-${purpose}`,
      // Auto-pipelining halves BullMQ's throughput.
      enableAutoPipelining: false,
      maxRetriesPerRequest: patience === 'patient' ? null : 6,
      retryStrategy: (tries) => Math.min(25 * tries, 500),
      // A server that is just loading its data answers soon.
      maxLoadingRetryTime: 500,
      // Whoever subscribes does so again when the connection is ready: ioredis would drop the promise of its own try, which rejects
      // when the connection is closed before the answer.
      autoResubscribe: false,
    });
    let down = false;
    redis.on('error', (error: Error) => {
      if (!down) this.logger.warn({ purpose, error: error.message }, 'Redis is out of reach');
      down = true;
    });
    redis.on('ready', () => {
      if (down) this.logger.info({ purpose }, 'Redis is back');
      down = false;
    });
    this.open.add(redis);
    redis.once('end', () => this.open.delete(redis));
    return redis;
  }

  /** What is still asked of Redis is refused. */
  close(): void {
    for (const redis of this.open) disconnect(redis);
    this.open.clear();
  }
}

/** Idempotent. ioredis waits two seconds for the end of a connection, also of one that has ended, and holds the process meanwhile. */
export function disconnect(redis: Redis): void {
  if (redis.status !== 'end') redis.disconnect();
}
