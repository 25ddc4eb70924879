import { createHash, randomBytes } from 'node:crypto';
import type { Redis } from 'ioredis';
import type { QueueKeys } from '../connections/keys.js';
import type { Tickets } from '../queue.js';

const TICKET = /^tkt_[A-Za-z0-9_-]{43}$/;

/** Tickets as expiring keys under their digest: who reads Redis' keys cannot use them. */
export class RedisTickets implements Tickets {
  constructor(
    private readonly redis: Redis,
    private readonly keys: QueueKeys,
  ) {}

  async issue(subject: string, ttlSeconds: number): Promise<{ ticket: string; expiresAt: Date }> {
    const ticket = `tkt_${randomBytes(32).toString('base64url')}`;
    const expiresAt = new Date(Date.now() + ttlSeconds * 1000);
    await this.redis.set(this.keyOf(ticket), subject, 'EX', ttlSeconds);
    return { ticket, expiresAt };
  }

  async redeem(ticket: string): Promise<string | undefined> {
    if (!TICKET.test(ticket)) return undefined;
    return (await this.redis.getdel(this.keyOf(ticket))) ?? undefined;
  }

  private keyOf(ticket: string): string {
    return this.keys.ticket(createHash('sha256').update(ticket).digest('hex'));
  }
}
