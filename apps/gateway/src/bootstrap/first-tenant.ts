import { TENANT_SCOPES, tenantLimitsSchema, type Scope } from '#contracts';
import { isCodedError, newId, type TenantId } from '#kernel';
import type { Repositories, Tenant } from '#persistence';
import { newKeySecret } from '../auth/api-key-secret.js';

export const FIRST_TENANT = 'default';
/** Keys of this name were made here; a reissue revokes them. */
const KEY_NAME = 'set-up';

export type Bootstrap = { readonly exists: true } | { readonly adminKey: string; readonly tenant: TenantId; readonly apiKey: string };

/**
 * Makes the first tenant, which may publish ports on the node as a Docker engine of one's own does, a key of it and the operator's key, unless there is an operator's key already. The keys stand in the result
 * and nowhere else. The operator's key is made last: a crash before leaves keys that nobody has seen, and the next call begins anew.
 */
export async function bootstrap(repositories: Repositories, options: { reissue: boolean }): Promise<Bootstrap> {
  const operators = await repositories.apiKeys.list(null);
  if (!options.reissue && operators.some((key) => key.revokedAt === null)) return { exists: true };
  const tenant = await ensureTenant(repositories);
  await revokeEarlier(repositories, tenant.id);
  await revokeEarlier(repositories, null);
  const apiKey = await issue(repositories, tenant.id, TENANT_SCOPES);
  const adminKey = await issue(repositories, null, ['admin']);
  return { adminKey, tenant: tenant.id, apiKey };
}

async function ensureTenant(repositories: Repositories): Promise<Tenant> {
  const known = await findByName(repositories, FIRST_TENANT);
  if (known !== undefined) return known;
  const tenant: Tenant = { id: newId('tenant'), name: FIRST_TENANT, limits: tenantLimitsSchema.parse({ publishPorts: true }), createdAt: new Date() };
  try {
    await repositories.tenants.create(tenant);
    return tenant;
  } catch (error) {
    const other = isCodedError(error, 'already_exists') ? await findByName(repositories, FIRST_TENANT) : undefined;
    if (other === undefined) throw error;
    return other;
  }
}

async function findByName(repositories: Repositories, name: string): Promise<Tenant | undefined> {
  let cursor: string | undefined;
  do {
    const page = await repositories.tenants.list({ limit: 200, cursor });
    const found = page.items.find((tenant) => tenant.name === name);
    if (found !== undefined) return found;
    cursor = page.nextCursor ?? undefined;
  } while (cursor !== undefined);
  return undefined;
}

async function revokeEarlier(repositories: Repositories, tenantId: TenantId | null): Promise<void> {
  for (const key of await repositories.apiKeys.list(tenantId)) {
    if (key.name === KEY_NAME && key.revokedAt === null) await repositories.apiKeys.revoke(tenantId, key.id, new Date());
  }
}

async function issue(repositories: Repositories, tenantId: TenantId | null, scopes: readonly Scope[]): Promise<string> {
  const { secret, hash, prefix } = newKeySecret();
  await repositories.apiKeys.create(tenantId, { id: newId('apiKey'), tenantId, name: KEY_NAME, prefix, hash, scopes, createdAt: new Date(), expiresAt: null, lastUsedAt: null, revokedAt: null });
  return secret;
}
