import type { Scope } from '#contracts';
import { CodedError, type ApiKeyId, type TenantId } from '#kernel';
import type { Pool } from 'pg';
import type { ApiKey as ApiKeyRow, PrismaClient } from './generated/client.js';
import type { ApiKey, ApiKeyRepository, Tenant } from './repositories.js';
import { tenantOf } from './tenants.repository.js';

const TOUCH = `
  with used as (
    select * from unnest($1::text[], $2::timestamptz[]) as used(id, at)
  ), locked as materialized (
    select id from api_keys where id = any($1::text[]) order by id for update
  )
  update api_keys set last_used_at = greatest(api_keys.last_used_at, used.at)
  from used join locked using (id) where api_keys.id = used.id`;

export class PostgresApiKeyRepository implements ApiKeyRepository {
  readonly #prisma: PrismaClient;
  readonly #pool: Pool;

  constructor(prisma: PrismaClient, pool: Pool) {
    this.#prisma = prisma;
    this.#pool = pool;
  }

  async create(tenantId: TenantId | null, key: ApiKey): Promise<void> {
    if (key.tenantId !== tenantId) throw new CodedError('invalid_argument', 'the key names another tenant', { field: 'tenantId' });
    const { id, name, prefix, hash, scopes, createdAt, expiresAt, lastUsedAt, revokedAt } = key;
    const data = { id, tenantId, name, prefix, hash, scopes: [...scopes], createdAt, expiresAt, lastUsedAt, revokedAt };
    await this.#prisma.apiKey.create({ data, select: { id: true } });
  }

  async findByHash(hash: string): Promise<{ key: ApiKey; tenant: Tenant | null } | undefined> {
    return this.#find({ hash });
  }

  async findById(id: ApiKeyId): Promise<{ key: ApiKey; tenant: Tenant | null } | undefined> {
    return this.#find({ id });
  }

  async #find(where: { hash: string } | { id: ApiKeyId }): Promise<{ key: ApiKey; tenant: Tenant | null } | undefined> {
    const row = await this.#prisma.apiKey.findUnique({ where, include: { tenant: true } });
    return row === null ? undefined : { key: apiKeyOf(row), tenant: row.tenant === null ? null : tenantOf(row.tenant) };
  }

  async list(tenantId: TenantId | null): Promise<ApiKey[]> {
    const rows = await this.#prisma.apiKey.findMany({ where: { tenantId }, orderBy: { id: 'asc' } });
    return rows.map(apiKeyOf);
  }

  async revoke(tenantId: TenantId | null, id: ApiKeyId, at: Date): Promise<ApiKey> {
    await this.#prisma.apiKey.updateMany({ where: { tenantId, id, revokedAt: null }, data: { revokedAt: at } });
    const row = await this.#prisma.apiKey.findFirst({ where: { tenantId, id } });
    if (row === null) throw new CodedError('not_found', 'no such API key', { kind: 'apiKey' });
    return apiKeyOf(row);
  }

  async touch(uses: ReadonlyMap<ApiKeyId, Date>): Promise<void> {
    if (uses.size === 0) return;
    await this.#pool.query({ name: 'api-keys-touch', text: TOUCH, values: [[...uses.keys()], [...uses.values()]] });
  }
}

function apiKeyOf(row: ApiKeyRow): ApiKey {
  const { name, prefix, hash, createdAt, expiresAt, lastUsedAt, revokedAt } = row;
  return {
    id: row.id as ApiKeyId,
    tenantId: row.tenantId as TenantId | null,
    scopes: row.scopes as Scope[],
    name,
    prefix,
    hash,
    createdAt,
    expiresAt,
    lastUsedAt,
    revokedAt,
  };
}
