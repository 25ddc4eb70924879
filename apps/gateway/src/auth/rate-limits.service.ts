import { Inject, Injectable } from '@nestjs/common';
import type { Redis } from 'ioredis';
import { RateLimiterMemory, RateLimiterRedis, RateLimiterRes, type RateLimiterAbstract } from 'rate-limiter-flexible';
import type { TenantLimits } from '#contracts';
import { CodedError, type TenantId } from '#kernel';
import { REDIS, SETTINGS } from '../platform/platform.js';
import type { GatewaySettings } from '../platform/settings.js';
import type { CallingTenant } from './caller.js';

const LIMITERS_KEPT = 256;
const ADVANCES_KEPT = 10_000;
/** Of a window, taken ahead of its use. */
const ADVANCE_PART = 1 / 20;
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

/** Requests that are counted already and may still come to this gateway. */
interface Advance {
  readonly window: string;
  requests: number;
  /** By performance.now(): the window's end. What is left then is lost. */
  readonly until: number;
}

/**
 * Requests per tenant, counted in Redis for all gateways together; in memory, per gateway, while Redis is away. Redis is asked for some more than the request at
 * hand, so that most requests wait for nobody. A tenant never gets more than its window for that; what one gateway took and did not need is lost with it.
 */
@Injectable()
export class RateLimits {
  private readonly limiters = new Map<string, RateLimiterAbstract>();
  private readonly advances = new Map<TenantId, Advance>();
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
    await consume(this.failures, address, 'too many failed authentications', { wanted: 1, ahead: 0, points: this.failures.points });
  }

  /** Never more than a whole window, or a tenant with a low rate could not send a large body at all. */
  private async count(tenant: CallingTenant, requests: number): Promise<void> {
    const { points } = windowOf(tenant.limits);
    const wanted = Math.min(requests, points);
    const window = nameOf(tenant.limits);
    const advance = this.advanceOf(tenant.id, window);
    if (advance !== undefined && advance.requests >= wanted) {
      advance.requests -= wanted;
      return;
    }
    const now = performance.now();
    const granted = await consume(this.limiterFor(tenant.limits), tenant.id, 'too many requests', { wanted, ahead: Math.floor(points * ADVANCE_PART), points });
    if (granted.more > 0) this.keep(tenant.id, { window, requests: granted.more, until: now + granted.msBeforeNext });
  }

  private advanceOf(tenantId: TenantId, window: string): Advance | undefined {
    const advance = this.advances.get(tenantId);
    return advance?.window === window && performance.now() < advance.until ? advance : undefined;
  }

  /** Requests that asked at the same time have each brought some. */
  private keep(tenantId: TenantId, brought: Advance): void {
    const left = this.advanceOf(tenantId, brought.window);
    this.advances.delete(tenantId);
    if (this.advances.size >= ADVANCES_KEPT) {
      for (const oldest of this.advances.keys()) {
        this.advances.delete(oldest);
        break;
      }
    }
    this.advances.set(tenantId, left === undefined ? brought : { ...brought, requests: brought.requests + left.requests, until: Math.min(brought.until, left.until) });
  }

  private limiterFor(rate: Rate): RateLimiterAbstract {
    const { points, durationSeconds } = windowOf(rate);
    const name = nameOf(rate);
    const known = this.limiters.get(name);
    if (known !== undefined) return known;
    if (this.limiters.size >= LIMITERS_KEPT) this.limiters.clear();
    const options = { points, duration: durationSeconds, keyPrefix: `sandbar:rate:${name}` };
    const limiter = new RateLimiterRedis({ ...options, storeClient: this.redis, insuranceLimiter: new RateLimiterMemory(options), rejectIfRedisNotReady: true });
    this.limiters.set(name, limiter);
    return limiter;
  }
}

function nameOf(rate: Rate): string {
  const { points, durationSeconds } = windowOf(rate);
  return `${points}/${durationSeconds}`;
}

interface Wish {
  readonly wanted: number;
  /** Taken beside, as far as they are there. */
  readonly ahead: number;
  /** Of the whole window. */
  readonly points: number;
}

/** @returns how many of `ahead` it gave, and when the window ends */
async function consume(limiter: RateLimiterAbstract, key: string, message: string, { wanted, ahead, points }: Wish): Promise<{ readonly more: number; readonly msBeforeNext: number }> {
  try {
    const { msBeforeNext } = await limiter.consume(key, wanted + ahead);
    return { more: ahead, msBeforeNext };
  } catch (refusal) {
    if (!(refusal instanceof RateLimiterRes)) throw refusal;
    const { msBeforeNext, consumedPoints } = refusal;
    // All of it was counted: what was there before is this one's, and the window is used up.
    const there = points - (consumedPoints - wanted - ahead);
    if (there >= wanted) return { more: there - wanted, msBeforeNext };
    throw new CodedError('rate_limited', message, { retryAfterSeconds: Math.max(1, Math.ceil(msBeforeNext / 1000)) });
  }
}
