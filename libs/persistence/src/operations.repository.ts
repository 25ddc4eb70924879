import { operationOutcomeSchema, type OperationOutcome, type Page } from '#contracts';
import { CodedError, type NodeId, type OperationId, type TenantId } from '#kernel';
import { decodeCursor, pageOf } from './cursor.js';
import { Prisma, type Operation as OperationRow, type PrismaClient } from './generated/client.js';
import type { NewOperation, Operation, OperationRepository } from './repositories.js';

const UNFINISHED = { in: ['queued', 'running'] };

export class PostgresOperationRepository implements OperationRepository {
  readonly #prisma: PrismaClient;

  constructor(prisma: PrismaClient) {
    this.#prisma = prisma;
  }

  async create(tenantId: TenantId, operation: NewOperation, { maxUnfinished }: { readonly maxUnfinished: number }): Promise<Operation> {
    const { platform, id, kind, reference, withAuth, nodeId, requestId, createdAt } = operation;
    return this.#prisma.$transaction(async (transaction) => {
      // Held against two that count at once, and against the tenant's removal.
      const locked = await transaction.$queryRaw<unknown[]>`select 1 from tenants where id = ${tenantId} for no key update`;
      if (locked.length === 0) throw new CodedError('not_found', 'no such tenant', { kind: 'tenant' });
      const unfinished = await transaction.operation.count({ where: { tenantId, state: UNFINISHED } });
      if (unfinished >= maxUnfinished) throw new CodedError('quota_exceeded', `${unfinished} operations of the tenant are not over`, { unfinishedOperations: unfinished });
      const data = { id, tenantId, kind, reference, withAuth, nodeId, requestId, createdAt, state: 'queued', platform: platform === null ? Prisma.DbNull : { ...platform } };
      return operationOf(await transaction.operation.create({ data }));
    });
  }

  async find(tenantId: TenantId, id: OperationId): Promise<Operation | undefined> {
    const row = await this.#prisma.operation.findUnique({ where: { tenantId_id: { tenantId, id } } });
    return row === null ? undefined : operationOf(row);
  }

  async list(tenantId: TenantId, { limit, cursor, state }: { readonly limit: number; readonly cursor?: string | undefined; readonly state?: Operation['state'] | undefined }): Promise<Page<Operation>> {
    const where = { tenantId, ...(state === undefined ? {} : { state }), ...(cursor === undefined ? {} : { id: { lt: decodeCursor('operation', cursor) } }) };
    const rows = await this.#prisma.operation.findMany({ where, orderBy: { id: 'desc' }, take: limit + 1 });
    return pageOf(rows, limit, operationOf);
  }

  async requestCancel(tenantId: TenantId, id: OperationId, at: Date): Promise<Operation> {
    await this.#prisma.operation.updateMany({ where: { tenantId, id, state: UNFINISHED, cancelRequestedAt: null }, data: { cancelRequestedAt: at } });
    const operation = await this.find(tenantId, id);
    if (operation === undefined) throw new CodedError('not_found', 'no such operation', { kind: 'operation' });
    return operation;
  }

  async markStarted(tenantId: TenantId, id: OperationId, at: Date): Promise<boolean> {
    const { count } = await this.#prisma.operation.updateMany({ where: { tenantId, id, state: 'queued' }, data: { state: 'running', startedAt: at } });
    return count > 0;
  }

  async markFinished(tenantId: TenantId, id: OperationId, at: Date, outcome: OperationOutcome): Promise<boolean> {
    const data = { state: outcome.state, finishedAt: at, outcome: Buffer.from(JSON.stringify(outcome)) };
    const { count } = await this.#prisma.operation.updateMany({ where: { tenantId, id, state: UNFINISHED }, data });
    return count > 0;
  }

  async markRequeued(tenantId: TenantId, id: OperationId): Promise<boolean> {
    const { count } = await this.#prisma.operation.updateMany({ where: { tenantId, id, state: UNFINISHED }, data: { requeued: { increment: 1 } } });
    return count > 0;
  }

  async listUnfinished(): Promise<Operation[]> {
    const rows = await this.#prisma.operation.findMany({ where: { finishedAt: null }, orderBy: { id: 'asc' } });
    return rows.map(operationOf);
  }

  async deleteFinishedBefore(before: Date, limit: number): Promise<number> {
    return this.#prisma.$executeRaw`delete from operations where id in (select id from operations where finished_at < ${before} order by finished_at, id limit ${limit})`;
  }
}

function operationOf(row: OperationRow): Operation {
  return {
    id: row.id as OperationId,
    tenantId: row.tenantId as TenantId,
    kind: row.kind as Operation['kind'],
    state: row.state as Operation['state'],
    reference: row.reference,
    platform: row.platform as Operation['platform'],
    withAuth: row.withAuth,
    nodeId: row.nodeId as NodeId,
    requestId: row.requestId,
    requeued: row.requeued,
    outcome: row.outcome === null ? null : operationOutcomeSchema.parse(JSON.parse(Buffer.from(row.outcome).toString())),
    createdAt: row.createdAt,
    startedAt: row.startedAt,
    finishedAt: row.finishedAt,
    cancelRequestedAt: row.cancelRequestedAt,
  };
}
