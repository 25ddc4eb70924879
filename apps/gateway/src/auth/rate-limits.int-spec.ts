import { Redis } from 'ioredis';
import { tenantLimitsSchema } from '#contracts';
import { isCodedError, newId } from '#kernel';
import { startTestRedis, type TestRedis } from '#testing';
import { DEFAULT_SETTINGS } from '../platform/settings.js';
import type { CallingTenant } from './caller.js';
import { RateLimits } from './rate-limits.service.js';

/** Windows of a minute: none ends in the middle of a test. */
const POINTS = 600;

describe('the rate of a tenant', () => {
  let server: TestRedis;
  let redis: Redis;
  beforeAll(async () => {
    server = await startTestRedis();
    redis = new Redis(server.options);
    // Until it is there, each gateway would count by itself.
    await redis.ping();
  });
  afterAll(async () => {
    redis.disconnect();
    await server.stop();
  });

  const gateway = (): RateLimits => new RateLimits(redis, { ...DEFAULT_SETTINGS, nodeRpcToken: 't' });
  const tenant = (limits: object = { requestsPerSecond: POINTS / 60, requestBurst: POINTS }): CallingTenant => ({ id: newId('tenant'), name: 't', limits: tenantLimitsSchema.parse(limits), createdAt: new Date() });
  const isAdmitted = (gateways: RateLimits, caller: CallingTenant, bytes?: number): Promise<boolean> =>
    gateways.countRequest(caller, bytes).then(() => true, (error: unknown) => {
      if (isCodedError(error, 'rate_limited')) return false;
      throw error;
    });
  const counted = async (caller: CallingTenant): Promise<number> => {
    const [name = ''] = await redis.keys(`sandbar:rate:*:${caller.id}`);
    return Number(await redis.get(name));
  };

  it('is its whole window on one gateway, and not one more, one after the other or at once', async () => {
    for (const atOnce of [1, 50]) {
      const [one, caller] = [gateway(), tenant()];
      let admitted = 0;
      for (let sent = 0; sent < POINTS + 100; sent += atOnce) {
        const answers = await Promise.all(Array.from({ length: atOnce }, () => isAdmitted(one, caller)));
        admitted += answers.filter(Boolean).length;
      }
      expect(admitted).toBe(POINTS);
    }
  });

  it('is never more on many gateways together', async () => {
    const [gateways, caller] = [[gateway(), gateway(), gateway()], tenant()];
    let admitted = 0;
    for (let sent = 0; sent < POINTS * 2; sent += 1) for (const one of gateways) if (await isAdmitted(one, caller)) admitted += 1;
    expect(admitted).toBe(POINTS);
  });

  it('is counted in Redis for some requests that are still to come', async () => {
    const [one, caller] = [gateway(), tenant()];
    await one.countRequest(caller);
    const ahead = await counted(caller);
    expect(ahead).toBe(1 + POINTS / 20);
    for (let sent = 1; sent < ahead; sent += 1) await one.countRequest(caller);
    expect(await counted(caller)).toBe(ahead);
    await one.countRequest(caller);
    expect(await counted(caller)).toBe(2 * ahead);
  });

  it('counts a large body as what it is', async () => {
    const [one, caller] = [gateway(), tenant()];
    await one.countRequest(caller);
    await one.countRequest(caller, 100 * 256 * 1024);
    expect(await counted(caller)).toBe(1 + 101 + (2 * POINTS) / 20);
  });

  it('takes nothing ahead over into the next window, or from other limits', async () => {
    const [one, caller] = [gateway(), tenant({ requestsPerSecond: 40, requestBurst: 40 })];
    for (let sent = 0; sent < 40; sent += 1) expect(await isAdmitted(one, caller)).toBe(true);
    expect(await isAdmitted(one, caller)).toBe(false);
    await redis.del(...(await redis.keys(`sandbar:rate:*:${caller.id}`)));
    await one.countRequest(caller);
    expect(await isAdmitted(one, { ...caller, limits: { ...caller.limits, requestsPerSecond: 1, requestBurst: 1 } })).toBe(true);
    expect(await isAdmitted(one, { ...caller, limits: { ...caller.limits, requestsPerSecond: 1, requestBurst: 1 } })).toBe(false);
    await new Promise((resolve) => setTimeout(resolve, 1_100));
    for (let sent = 0; sent < 40; sent += 1) expect(await isAdmitted(one, caller)).toBe(true);
    expect(await isAdmitted(one, caller)).toBe(false);
  });
});
