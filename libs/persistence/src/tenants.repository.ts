import { tenantLimitsSchema, type Page, type TenantLimits } from '#contracts';
import { CodedError, type NodeId, type TenantId } from '#kernel';
import { decodeCursor, pageOf } from './cursor.js';
import type { PrismaClient, Tenant as TenantRow } from './generated/client.js';
import type { HostDrop, Tenant, TenantRepository } from './repositories.js';

export function tenantOf(row: TenantRow): Tenant {
  return { id: row.id as TenantId, name: row.name, limits: tenantLimitsSchema.parse(row.limits), createdAt: row.createdAt };
}

export class PostgresTenantRepository implements TenantRepository {
  readonly #prisma: PrismaClient;

  constructor(prisma: PrismaClient) {
    this.#prisma = prisma;
  }

  async create(tenant: Tenant): Promise<void> {
    const { id, name, limits, createdAt } = tenant;
    await this.#prisma.tenant.create({ data: { id, name, limits, createdAt }, select: { id: true } });
  }

  async find(id: TenantId): Promise<Tenant | undefined> {
    const row = await this.#prisma.tenant.findUnique({ where: { id } });
    return row === null ? undefined : tenantOf(row);
  }

  async list(page: { limit: number; cursor?: string | undefined }): Promise<Page<Tenant>> {
    const where = page.cursor === undefined ? {} : { id: { gt: decodeCursor('tenant', page.cursor) } };
    const rows = await this.#prisma.tenant.findMany({ where, orderBy: { id: 'asc' }, take: page.limit + 1 });
    return pageOf(rows, page.limit, tenantOf);
  }

  async updateLimits(id: TenantId, limits: TenantLimits): Promise<Tenant> {
    const [row] = await this.#prisma.tenant.updateManyAndReturn({ where: { id }, data: { limits } });
    if (row === undefined) throw noSuchTenant();
    return tenantOf(row);
  }

  async delete(id: TenantId): Promise<void> {
    await this.#prisma.$transaction(async (transaction) => {
      // FOR UPDATE keeps new runs out: their foreign key needs FOR KEY SHARE on this row.
      const locked = await transaction.$queryRaw<unknown[]>`select 1 from tenants where id = ${id} for update`;
      if (locked.length === 0) throw noSuchTenant();
      const unfinished = await transaction.run.count({ where: { tenantId: id, state: { in: ['queued', 'running'] } } });
      if (unfinished > 0) throw new CodedError('failed_precondition', 'the tenant has runs that are not over', { unfinishedRuns: unfinished });
      const operations = await transaction.operation.count({ where: { tenantId: id, state: { in: ['queued', 'running'] } } });
      if (operations > 0) throw new CodedError('failed_precondition', 'the tenant has operations that are not over', { unfinishedOperations: operations });
      const builds = await transaction.build.count({ where: { tenantId: id, state: { in: ['queued', 'running'] } } });
      if (builds > 0) throw new CodedError('failed_precondition', 'the tenant has builds that are not over', { unfinishedBuilds: builds });
      await transaction.$executeRaw`insert into host_drops (tenant_id, node_id, created_at) select id, home_node_id, now() from tenants where id = ${id} and home_node_id is not null`;
      await transaction.tenant.deleteMany({ where: { id } });
    });
  }

  async homeNode(id: TenantId): Promise<NodeId | null> {
    const row = await this.#prisma.tenant.findUnique({ where: { id }, select: { homeNodeId: true } });
    if (row === null) throw noSuchTenant();
    return row.homeNodeId as NodeId | null;
  }

  async assignHomeNode(id: TenantId, candidates: readonly NodeId[]): Promise<NodeId> {
    if (candidates.length === 0) throw new CodedError('invalid_argument', 'a home needs candidates');
    await this.#prisma.$executeRaw`
      update tenants set home_node_id = (
        select candidate from unnest(${[...candidates]}::text[]) with ordinality as listed(candidate, place)
        order by (select count(*) from tenants other where other.home_node_id = candidate), place limit 1
      ) where id = ${id} and home_node_id is null`;
    const home = await this.homeNode(id);
    if (home === null) throw new CodedError('internal', 'the tenant has no home');
    return home;
  }

  async listDrops(limit: number): Promise<HostDrop[]> {
    const rows = await this.#prisma.hostDrop.findMany({ orderBy: [{ createdAt: 'asc' }, { tenantId: 'asc' }], take: limit });
    return rows.map((row) => ({ tenantId: row.tenantId as TenantId, nodeId: row.nodeId as NodeId }));
  }

  async forgetDrop(id: TenantId): Promise<void> {
    await this.#prisma.hostDrop.deleteMany({ where: { tenantId: id } });
  }
}

function noSuchTenant(): CodedError {
  return new CodedError('not_found', 'no such tenant', { kind: 'tenant' });
}
