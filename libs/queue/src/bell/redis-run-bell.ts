import type { Redis } from 'ioredis';
import type { RunId } from '#kernel';
import type { QueueKeys } from '../connections/keys.js';
import type { RunBell } from '../queue.js';

/**
 * One pub/sub channel for all runs, subscribed from the start: `arm` takes effect at once, because nothing has to be asked of
 * Redis first. `subscriber` is the caller's to close.
 */
export class RedisRunBell implements RunBell {
  private readonly armed = new Map<string, Set<() => void>>();
  private readonly onMessage = (channel: string, runId: string) => {
    if (channel === this.keys.bell) for (const wake of [...(this.armed.get(runId) ?? [])]) wake();
  };

  // A ring that is missed meanwhile costs a wait, and when this fails the connection is not ready any more.
  private readonly onReady = () => { this.subscriber.subscribe(this.keys.bell).catch(() => undefined); };

  private constructor(
    private readonly redis: Redis,
    private readonly subscriber: Redis,
    private readonly keys: QueueKeys,
  ) {
    subscriber.on('message', this.onMessage);
  }

  static async open(redis: Redis, subscriber: Redis, keys: QueueKeys): Promise<RedisRunBell> {
    const bell = new RedisRunBell(redis, subscriber, keys);
    await subscriber.subscribe(keys.bell);
    subscriber.on('ready', bell.onReady);
    return bell;
  }

  async ring(runId: RunId): Promise<void> {
    await this.redis.publish(this.keys.bell, runId);
  }

  arm(runId: RunId): { wait(timeoutMs: number, signal?: AbortSignal): Promise<boolean>; disarm(): void } {
    const rung = Promise.withResolvers<boolean>();
    const wake = () => { rung.resolve(true); };
    const set = this.armed.get(runId) ?? new Set();
    this.armed.set(runId, set.add(wake));
    return {
      wait: async (timeoutMs, signal) => {
        const limit = Promise.withResolvers<boolean>();
        const giveUp = () => { limit.resolve(false); };
        const timer = setTimeout(giveUp, timeoutMs);
        signal?.addEventListener('abort', giveUp, { once: true });
        if (signal?.aborted === true) giveUp();
        try {
          return await Promise.race([rung.promise, limit.promise]);
        } finally {
          clearTimeout(timer);
          signal?.removeEventListener('abort', giveUp);
        }
      },
      disarm: () => {
        set.delete(wake);
        if (set.size === 0 && this.armed.get(runId) === set) this.armed.delete(runId);
        rung.resolve(false);
      },
    };
  }

  close(): Promise<void> {
    this.subscriber.off('message', this.onMessage);
    this.subscriber.off('ready', this.onReady);
    this.armed.clear();
    return Promise.resolve();
  }
}
