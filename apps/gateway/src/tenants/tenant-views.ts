import type { ApiKeyView, TenantView } from '#contracts';
import type { ApiKey, Tenant } from '#persistence';

export function toTenantView(tenant: Tenant): TenantView {
  return { id: tenant.id, name: tenant.name, limits: tenant.limits, createdAt: tenant.createdAt.toISOString() };
}

/** Without the hash. */
export function toApiKeyView(key: ApiKey): ApiKeyView {
  return {
    id: key.id,
    tenantId: key.tenantId,
    name: key.name,
    prefix: key.prefix,
    scopes: [...key.scopes],
    createdAt: key.createdAt.toISOString(),
    expiresAt: key.expiresAt?.toISOString() ?? null,
    lastUsedAt: key.lastUsedAt?.toISOString() ?? null,
    revokedAt: key.revokedAt?.toISOString() ?? null,
  };
}
