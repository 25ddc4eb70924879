import { Inject, Injectable } from '@nestjs/common';
import { tenantLimitsSchema, type TenantLimits } from '#contracts';
import type { Clock, TenantId } from '#kernel';
import type { Repositories } from '#persistence';
import { CLOCK, REPOSITORIES } from '../platform/platform.js';

const TTL_MS = 5_000;
const SIZE = 10_000;

/** The limits of tenants, for parts that act without a caller. At most five seconds old. */
@Injectable()
export class TenantDirectory {
  private readonly known = new Map<TenantId, { limits: TenantLimits; readAt: number }>();

  constructor(
    @Inject(REPOSITORIES) private readonly repositories: Repositories,
    @Inject(CLOCK) private readonly clock: Clock,
  ) {}

  /** Of a tenant that is gone: the defaults, so that what it left can still be released. */
  async limitsOf(id: TenantId): Promise<TenantLimits> {
    const now = this.clock.now();
    const cached = this.known.get(id);
    if (cached !== undefined && now - cached.readAt < TTL_MS) return cached.limits;
    const tenant = await this.repositories.tenants.find(id);
    const limits = tenant?.limits ?? tenantLimitsSchema.parse({});
    if (this.known.size >= SIZE) this.known.clear();
    this.known.set(id, { limits, readAt: now });
    return limits;
  }

  forget(id: TenantId): void {
    this.known.delete(id);
  }
}
