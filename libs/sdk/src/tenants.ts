import { apiKeyViewSchema, createdApiKeySchema, pageSchema, tenantViewSchema, type ApiKeyView, type CreatedApiKey, type Page, type TenantLimits, type TenantView, type createApiKeySchema } from '#contracts';
import { z } from 'zod';
import type { Transport } from './transport.js';

export type NewApiKey = z.input<typeof createApiKeySchema>;

/** Tenants, for the operator's admin key. Each method throws SandbarApiError. */
export class TenantsApi {
  constructor(private readonly transport: Transport) {}

  create(tenant: { name: string; limits?: Partial<TenantLimits> }): Promise<TenantView> {
    return this.transport.call({ method: 'POST', path: '/v1/tenants', body: tenant }, tenantViewSchema);
  }

  list(page: { limit?: number; cursor?: string } = {}): Promise<Page<TenantView>> {
    return this.transport.call({ method: 'GET', path: '/v1/tenants', query: page }, pageSchema(tenantViewSchema));
  }

  get(id: string): Promise<TenantView> {
    return this.transport.call({ method: 'GET', path: tenantPath(id) }, tenantViewSchema);
  }

  updateLimits(id: string, limits: Partial<TenantLimits>): Promise<TenantView> {
    return this.transport.call({ method: 'PATCH', path: tenantPath(id), body: { limits } }, tenantViewSchema);
  }

  /** With its keys, runs and logs. Refused with `failed_precondition` while a run of it is not over. */
  async delete(id: string): Promise<void> {
    await this.transport.callForNothing({ method: 'DELETE', path: tenantPath(id) });
  }

  /** The keys of one tenant. */
  keys(id: string): KeysApi {
    return new KeysApi(this.transport, `${tenantPath(id)}/keys`);
  }
}

/** API keys of a tenant: by default of the calling key's own. Each method throws SandbarApiError. */
export class KeysApi {
  constructor(
    private readonly transport: Transport,
    private readonly path = '/v1/keys',
  ) {}

  /** The only answer that ever holds the key itself. */
  create(key: NewApiKey): Promise<CreatedApiKey> {
    return this.transport.call({ method: 'POST', path: this.path, body: key }, createdApiKeySchema);
  }

  async list(): Promise<ApiKeyView[]> {
    const answer = await this.transport.call({ method: 'GET', path: this.path }, z.object({ items: z.array(apiKeyViewSchema) }));
    return answer.items;
  }

  /** Idempotent. The key is refused from the next request on. */
  async revoke(id: string): Promise<void> {
    await this.transport.callForNothing({ method: 'DELETE', path: `${this.path}/${encodeURIComponent(id)}` });
  }
}

function tenantPath(id: string): string {
  return `/v1/tenants/${encodeURIComponent(id)}`;
}
