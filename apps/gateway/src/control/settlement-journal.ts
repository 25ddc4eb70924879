import { Inject, Injectable } from '@nestjs/common';
import type { Redis } from 'ioredis';
import { isId, type Clock, type RunId, type TenantId } from '#kernel';
import { CLOCK, REDIS } from '../platform/platform.js';

const KEY = 'sandbar:settling';

/**
 * Runs that a gateway is bringing to their end on its own account (cancelled, lost). Ends that nodes report need no entry: their
 * event stays unacknowledged until all is done. An entry that stays is work that a crash interrupted.
 */
@Injectable()
export class SettlementJournal {
  constructor(
    @Inject(REDIS) private readonly redis: Redis,
    @Inject(CLOCK) private readonly clock: Clock,
  ) {}

  async open(tenantId: TenantId, runId: RunId): Promise<void> {
    await this.redis.zadd(KEY, 'NX', this.clock.now(), `${tenantId} ${runId}`);
  }

  async close(tenantId: TenantId, runId: RunId): Promise<void> {
    await this.redis.zrem(KEY, `${tenantId} ${runId}`);
  }

  /** Entries that have stood for longer than `ageMs`, oldest first, at most a hundred. */
  async overdue(ageMs: number): Promise<{ tenantId: TenantId; runId: RunId }[]> {
    const members = await this.redis.zrangebyscore(KEY, '-inf', this.clock.now() - ageMs, 'LIMIT', 0, 100);
    return members.flatMap((member) => {
      const [tenantId, runId] = member.split(' ');
      return isId('tenant', tenantId) && isId('run', runId) ? [{ tenantId, runId }] : [];
    });
  }
}
