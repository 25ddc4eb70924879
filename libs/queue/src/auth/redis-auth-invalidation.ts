import type { Redis } from 'ioredis';
import { asError, type Logger } from '#kernel';
import type { QueueKeys } from '../connections/keys.js';
import type { AuthInvalidation } from '../queue.js';

/** What listeners hear when announcements may have been missed: everything cached is stale. */
export const EVERY_SUBJECT = '*';

/** A pub/sub channel. After a broken connection the listeners hear `EVERY_SUBJECT`. `subscriber` is the caller's to close. */
export class RedisAuthInvalidation implements AuthInvalidation {
  private readonly listeners = new Set<(subject: string) => void>();
  private readonly onMessage = (channel: string, subject: string) => {
    if (channel === this.keys.authInvalidation) this.tell(subject);
  };
  private readonly onClose = () => { this.missed = true; };
  private readonly onReady = () => {
    if (!this.missed || this.listeners.size === 0) return;
    // Only after this answer are announcements heard again.
    this.subscriber.subscribe(this.keys.authInvalidation).then(
      () => {
        this.missed = false;
        this.tell(EVERY_SUBJECT);
      },
      (error: unknown) => { this.logger.warn({ error: asError(error).message }, 'subscribing again failed'); },
    );
  };
  private missed = false;

  constructor(
    private readonly redis: Redis,
    private readonly subscriber: Redis,
    private readonly keys: QueueKeys,
    private readonly logger: Logger,
  ) {
    subscriber.on('message', this.onMessage);
    subscriber.on('close', this.onClose);
    subscriber.on('ready', this.onReady);
  }

  async announce(subject: string): Promise<void> {
    await this.redis.publish(this.keys.authInvalidation, subject);
  }

  async subscribe(listener: (subject: string) => void): Promise<void> {
    this.listeners.add(listener);
    await this.subscriber.subscribe(this.keys.authInvalidation);
  }

  close(): Promise<void> {
    this.subscriber.off('message', this.onMessage);
    this.subscriber.off('close', this.onClose);
    this.subscriber.off('ready', this.onReady);
    this.listeners.clear();
    return Promise.resolve();
  }

  private tell(subject: string): void {
    for (const listener of this.listeners) {
      try {
        listener(subject);
      } catch (error) {
        this.logger.error({ error: asError(error).message }, 'a listener of auth invalidations failed');
      }
    }
  }
}
