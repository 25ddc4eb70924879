import { Inject, Injectable } from '@nestjs/common';
import type { Redis } from 'ioredis';
import { RateLimiterMemory, RateLimiterRedis, RateLimiterRes, type RateLimiterAbstract } from 'rate-limiter-flexible';
import type { TenantLimits } from '#contracts';
import { CodedError } from '#kernel';
import { REDIS, SETTINGS } from '../platform/platform.js';
import type { GatewaySettings } from '../platform/settings.js';
import type { CallingTenant } from './caller.js';

const LIMITERS_KEPT = 256;
/** Parsing and storing this much of a body takes the gateway about as long as a request without one. */
const BYTES_PER_REQUEST = 256 * 1024;

type Rate = Pick<TenantLimits, 'requestsPerSecond' | 'requestBurst'>;

/**
 * A window in which the tenant's burst may come at once and whose average is the sustained rate. A burst smaller than one second of the
 * rate makes no difference.
 */
export function windowOf({ requestsPerSecond, requestBurst }: Rate): { points: number; durationSeconds: number } {
  const durationSeconds = Math.max(1, Math.ceil(requestBurst / requestsPerSecond));
  return { points: Math.max(1, Math.floor(requestsPerSecond * durationSeconds)), durationSeconds };
}

/** Requests per tenant, counted in Redis for all gateways together; in memory, per gateway, while Redis is away. */
@Injectable()
export class RateLimits {
  private readonly limiters = new Map<string, RateLimiterAbstract>();
  private readonly failures: RateLimiterMemory;

  constructor(
    @Inject(REDIS) private readonly redis: Redis,
    @Inject(SETTINGS) settings: GatewaySettings,
  ) {
    this.failures = new RateLimiterMemory({ points: settings.failedAuthenticationsPerMinute, duration: 60 });
  }

  /** A large body counts as several requests. @throws CodedError `rate_limited` with `retryAfterSeconds` */
  async countRequest(tenant: CallingTenant, bodyBytes = 0): Promise<void> {
    await this.count(tenant, 1 + Math.floor(bodyBytes / BYTES_PER_REQUEST));
  }

  /** What a body adds to a request that was counted before its size was known. @throws CodedError `rate_limited` */
  async countBody(tenant: CallingTenant, bodyBytes: number): Promise<void> {
    const requests = Math.floor(bodyBytes / BYTES_PER_REQUEST);
    if (requests > 0) await this.count(tenant, requests);
  }

  /**
   * Only failures count and only failures are refused: callers behind one address (a proxy) cannot lock each other out.
   * @throws CodedError `rate_limited`
   */
  async countFailedAuthentication(address: string): Promise<void> {
    await consume(this.failures, address, 'too many failed authentications');
  }

  /** Never more than a whole window, or a tenant with a low rate could not send a large body at all. */
  private async count(tenant: CallingTenant, requests: number): Promise<void> {
    const { points } = windowOf(tenant.limits);
    await consume(this.limiterFor(tenant.limits), tenant.id, 'too many requests', Math.min(requests, points));
  }

  private limiterFor(rate: Rate): RateLimiterAbstract {
    const { points, durationSeconds } = windowOf(rate);
    const name = `${points}/${durationSeconds}`;
    const known = this.limiters.get(name);
    if (known !== undefined) return known;
    if (this.limiters.size >= LIMITERS_KEPT) this.limiters.clear();
    const options = { points, duration: durationSeconds, keyPrefix: `sandbar:rate:${name}` };
    const limiter = new RateLimiterRedis({ ...options, storeClient: this.redis, insuranceLimiter: new RateLimiterMemory(options), rejectIfRedisNotReady: true });
    this.limiters.set(name, limiter);
    return limiter;
  }
}

async function consume(limiter: RateLimiterAbstract, key: string, message: string, points = 1): Promise<void> {
  try {
    await limiter.consume(key, points);
  } catch (refusal) {
    if (!(refusal instanceof RateLimiterRes)) throw refusal;
    throw new CodedError('rate_limited', message, { retryAfterSeconds: Math.max(1, Math.ceil(refusal.msBeforeNext / 1000)) });
  }
}
