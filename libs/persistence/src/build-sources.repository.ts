import { buildSourceSpecSchema, type Page } from '#contracts';
import { CodedError, type BuildId, type BuildSourceId, type TenantId } from '#kernel';
import type { BuildSource, BuildSourceRepository, NewBuildSource } from './build-sources.js';
import { decodeCursor, pageOf } from './cursor.js';
import type { BuildSource as BuildSourceRow, PrismaClient } from './generated/client.js';
import type { Tenant } from './repositories.js';
import { toJsonBytes } from './run-rows.js';
import { tenantOf } from './tenants.repository.js';

type Change = Partial<Pick<BuildSource, 'spec' | 'sealedValues' | 'sealedSecret'>>;

export class PostgresBuildSourceRepository implements BuildSourceRepository {
  readonly #prisma: PrismaClient;

  constructor(prisma: PrismaClient) {
    this.#prisma = prisma;
  }

  async create(tenantId: TenantId, source: NewBuildSource, { max }: { readonly max: number }): Promise<BuildSource> {
    const { id, name, hook, spec, sealedValues, sealedSecret, createdAt } = source;
    const data = { id, tenantId, name, hook, createdAt, spec: toBytes(spec), sealedValues: new Uint8Array(sealedValues), sealedSecret: new Uint8Array(sealedSecret) };
    return this.#prisma.$transaction(async (transaction) => {
      // Held against two that count at once, and against the tenant's removal.
      const locked = await transaction.$queryRaw<unknown[]>`select 1 from tenants where id = ${tenantId} for no key update`;
      if (locked.length === 0) throw new CodedError('not_found', 'no such tenant', { kind: 'tenant' });
      const there = await transaction.buildSource.count({ where: { tenantId } });
      if (there >= max) throw new CodedError('quota_exceeded', `the tenant has ${there} build sources`, { buildSources: there });
      return sourceOf(await transaction.buildSource.create({ data }));
    });
  }

  async find(tenantId: TenantId, by: { readonly id: BuildSourceId } | { readonly name: string }): Promise<BuildSource | undefined> {
    const where = 'id' in by ? { tenantId_id: { tenantId, id: by.id } } : { tenantId_name: { tenantId, name: by.name } };
    const row = await this.#prisma.buildSource.findUnique({ where });
    return row === null ? undefined : sourceOf(row);
  }

  async findByHook(hook: string): Promise<{ readonly source: BuildSource; readonly tenant: Tenant } | undefined> {
    const row = await this.#prisma.buildSource.findUnique({ where: { hook }, include: { tenant: true } });
    return row === null ? undefined : { source: sourceOf(row), tenant: tenantOf(row.tenant) };
  }

  async list(tenantId: TenantId, { limit, cursor }: { readonly limit: number; readonly cursor?: string | undefined }): Promise<Page<BuildSource>> {
    const where = { tenantId, ...(cursor === undefined ? {} : { id: { gt: decodeCursor('buildSource', cursor) } }) };
    const rows = await this.#prisma.buildSource.findMany({ where, orderBy: { id: 'asc' }, take: limit + 1 });
    return pageOf(rows, limit, sourceOf);
  }

  async update(tenantId: TenantId, id: BuildSourceId, revision: number, change: Change): Promise<BuildSource> {
    const { count } = await this.#prisma.buildSource.updateMany({ where: { tenantId, id, revision }, data: { ...columnsOf(change), revision: { increment: 1 } } });
    const source = await this.find(tenantId, { id });
    if (source === undefined) throw noSuchSource();
    if (count === 0) throw new CodedError('conflict', 'the build source was changed meanwhile: try again', { revision: source.revision });
    return source;
  }

  async noteBuild(tenantId: TenantId, id: BuildSourceId, buildId: BuildId): Promise<void> {
    await this.#prisma.buildSource.updateMany({ where: { tenantId, id }, data: { lastBuildId: buildId } });
  }

  async delete(tenantId: TenantId, id: BuildSourceId): Promise<void> {
    const { count } = await this.#prisma.buildSource.deleteMany({ where: { tenantId, id } });
    if (count === 0) throw noSuchSource();
  }
}

function columnsOf({ spec, sealedValues, sealedSecret }: Change) {
  return {
    ...(spec === undefined ? {} : { spec: toBytes(spec) }),
    ...(sealedValues === undefined ? {} : { sealedValues: new Uint8Array(sealedValues) }),
    ...(sealedSecret === undefined ? {} : { sealedSecret: new Uint8Array(sealedSecret) }),
  };
}

function toBytes(spec: BuildSource['spec']): Uint8Array<ArrayBuffer> {
  return new Uint8Array(toJsonBytes(spec));
}

function sourceOf({ id, tenantId, name, hook, spec, sealedValues, sealedSecret, revision, createdAt, lastDeliveryAt, lastBuildId }: BuildSourceRow): BuildSource {
  return {
    id: id as BuildSourceId,
    tenantId: tenantId as TenantId,
    name,
    hook,
    spec: buildSourceSpecSchema.parse(JSON.parse(Buffer.from(spec).toString('utf8'))),
    sealedValues: Buffer.from(sealedValues),
    sealedSecret: Buffer.from(sealedSecret),
    revision,
    createdAt,
    lastDeliveryAt,
    lastBuildId: lastBuildId as BuildId | null,
  };
}

function noSuchSource(): CodedError {
  return new CodedError('not_found', 'no such build source', { kind: 'buildSource' });
}
