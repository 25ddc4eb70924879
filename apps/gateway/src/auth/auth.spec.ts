import { TENANT_SCOPES, tenantLimitsSchema } from '#contracts';
import { newId } from '#kernel';
import { bearerKey, hashKeySecret, newKeySecret } from './api-key-secret.js';
import { assertPermitted, type Caller } from './caller.js';
import { windowOf } from './rate-limits.service.js';

describe('key secrets', () => {
  it('are what the header parser takes', () => {
    const { secret, hash, prefix } = newKeySecret();
    expect(bearerKey(`Bearer ${secret}`)).toBe(secret);
    expect(bearerKey(`bearer ${secret}`)).toBe(secret);
    expect(hashKeySecret(secret)).toBe(hash);
    expect(secret.startsWith(prefix) && prefix.length === 12).toBe(true);
  });
  it.each([undefined, '', 'Bearer', 'Bearer ', 'Basic sbk_x', `Bearer sbk_${'a'.repeat(42)}`, `Bearer sbk_${'a'.repeat(43)} x`, `Bearer  sbk_${'a'.repeat(43)}`])('are not in %j', (header) => {
    expect(bearerKey(header)).toBeUndefined();
  });
});

describe('permissions', () => {
  const tenant = { id: newId('tenant'), name: 't', limits: tenantLimitsSchema.parse({}), createdAt: new Date() };
  const caller = (change: Partial<Caller>): Caller => ({ keyId: newId('apiKey'), keyHash: '', scopes: TENANT_SCOPES, tenant, ...change });
  it.each<[string, Partial<Caller>, Parameters<typeof assertPermitted>[1], boolean]>([
    ['a tenant with the scope', {}, 'runs:read', true],
    ['a tenant without it', { scopes: ['keys:read'] }, 'runs:read', false],
    ['the operator on runs', { scopes: ['admin'], tenant: null }, 'runs:read', false],
    ['the operator with a scope of tenants', { scopes: ['admin', 'runs:read'], tenant: null }, 'runs:read', false],
    ['the operator', { scopes: ['admin'], tenant: null }, 'admin', true],
    ['a tenant that claims to be the operator', { scopes: ['admin'] }, 'admin', false],
    ['anyone', { scopes: [] }, 'any', true],
  ])('%s', (_name, change, permission, permitted) => {
    const decide = expect(() => { assertPermitted(caller(change), permission); });
    if (permitted) decide.not.toThrow();
    else decide.toThrow(expect.objectContaining({ code: 'permission_denied' }));
  });
});

describe('the rate window', () => {
  it.each([
    [{ requestsPerSecond: 100, requestBurst: 200 }, { points: 200, durationSeconds: 2 }],
    [{ requestsPerSecond: 0.1, requestBurst: 1 }, { points: 1, durationSeconds: 10 }],
    [{ requestsPerSecond: 100, requestBurst: 1 }, { points: 100, durationSeconds: 1 }],
  ])('of %j', (rate, window) => {
    expect(windowOf(rate)).toEqual(window);
  });
});
