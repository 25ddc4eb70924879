import type { Page } from '#contracts';
import { CodedError, type BuildId, type BuildSourceId, type DeliveryId, type TenantId } from '#kernel';
import type { BuildDelivery, BuildDeliveryRepository, NewBuildDelivery } from './build-sources.js';
import { decodeCursor, pageOf } from './cursor.js';
import type { BuildDelivery as BuildDeliveryRow, PrismaClient } from './generated/client.js';

export class PostgresBuildDeliveryRepository implements BuildDeliveryRepository {
  readonly #prisma: PrismaClient;

  constructor(prisma: PrismaClient) {
    this.#prisma = prisma;
  }

  async record(tenantId: TenantId, sourceId: BuildSourceId, delivery: NewBuildDelivery, { keep }: { readonly keep: number }): Promise<{ delivery: BuildDelivery; created: boolean }> {
    const { key, digest, receivedAt } = delivery;
    return this.#prisma.$transaction(async (transaction) => {
      // Held against the same delivery twice at once.
      const { count } = await transaction.buildSource.updateMany({ where: { tenantId, id: sourceId }, data: { lastDeliveryAt: receivedAt } });
      if (count === 0) throw new CodedError('not_found', 'no such build source', { kind: 'buildSource' });
      const bytes = digest === null ? null : new Uint8Array(digest);
      const earlier = await transaction.buildDelivery.findFirst({ where: { tenantId, sourceId, OR: [{ key }, ...(bytes === null ? [] : [{ digest: bytes }])] } });
      if (earlier !== null) return { delivery: deliveryOf(earlier), created: false };
      const row = await transaction.buildDelivery.create({ data: { ...delivery, digest: bytes, tenantId, sourceId } });
      await transaction.$executeRaw`
        delete from build_deliveries where source_id = ${sourceId} and id in (
          select id from build_deliveries where tenant_id = ${tenantId} and source_id = ${sourceId} order by id desc offset ${keep}
        )`;
      return { delivery: deliveryOf(row), created: true };
    });
  }

  async settle(tenantId: TenantId, id: DeliveryId, { state, reason, buildId }: Pick<BuildDelivery, 'state' | 'reason' | 'buildId'>): Promise<void> {
    await this.#prisma.$transaction(async (transaction) => {
      const [row] = await transaction.buildDelivery.updateManyAndReturn({ where: { tenantId, id, state: { not: 'built' } }, data: { state, reason, buildId }, select: { sourceId: true } });
      if (row !== undefined && buildId !== null) await transaction.buildSource.updateMany({ where: { tenantId, id: row.sourceId }, data: { lastBuildId: buildId } });
    });
  }

  async list(tenantId: TenantId, sourceId: BuildSourceId, { limit, cursor }: { readonly limit: number; readonly cursor?: string | undefined }): Promise<Page<BuildDelivery>> {
    const where = { tenantId, sourceId, ...(cursor === undefined ? {} : { id: { lt: decodeCursor('delivery', cursor) } }) };
    const rows = await this.#prisma.buildDelivery.findMany({ where, orderBy: { id: 'desc' }, take: limit + 1 });
    return pageOf(rows, limit, deliveryOf);
  }
}

function deliveryOf({ id, tenantId, sourceId, digest, state, buildId, ...row }: BuildDeliveryRow): BuildDelivery {
  return {
    ...row,
    id: id as DeliveryId,
    tenantId: tenantId as TenantId,
    sourceId: sourceId as BuildSourceId,
    digest: digest === null ? null : Buffer.from(digest),
    state: state as BuildDelivery['state'],
    buildId: buildId as BuildId | null,
  };
}
