import { buildOutcomeSchema, buildSpecSchema, type BuildOutcome, type Page } from '#contracts';
import { CodedError, type BuildId, type NodeId, type TenantId } from '#kernel';
import { decodeCursor, pageOf } from './cursor.js';
import type { Build as BuildRow, PrismaClient } from './generated/client.js';
import type { Build, BuildRepository, NewBuild } from './builds.js';
import { toJsonBytes } from './run-rows.js';

const UNFINISHED = { in: ['queued', 'running'] };

export class PostgresBuildRepository implements BuildRepository {
  readonly #prisma: PrismaClient;

  constructor(prisma: PrismaClient) {
    this.#prisma = prisma;
  }

  async create(tenantId: TenantId, build: NewBuild, { maxUnfinished }: { readonly maxUnfinished: number }): Promise<{ build: Build; created: boolean }> {
    const { id, spec, specHash, nodeId, attached, requestId, createdAt, idempotencyKey } = build;
    return this.#prisma.$transaction(async (transaction) => {
      // Held against two that count at once, against two of one key, and against the tenant's removal.
      const locked = await transaction.$queryRaw<unknown[]>`select 1 from tenants where id = ${tenantId} for no key update`;
      if (locked.length === 0) throw new CodedError('not_found', 'no such tenant', { kind: 'tenant' });
      const earlier = idempotencyKey === undefined ? null : await transaction.build.findUnique({ where: { tenantId_idempotencyKey: { tenantId, idempotencyKey } } });
      if (earlier !== null) return { build: sameRequest(earlier, specHash), created: false };
      const unfinished = await transaction.build.count({ where: { tenantId, state: UNFINISHED } });
      if (unfinished >= maxUnfinished) throw new CodedError('quota_exceeded', `${unfinished} builds of the tenant are not over`, { unfinishedBuilds: unfinished });
      const state = attached ? 'running' : 'queued';
      const startedAt = attached ? createdAt : null;
      const data = { id, tenantId, state, spec: new Uint8Array(toJsonBytes(spec)), specHash: new Uint8Array(specHash), nodeId, attached, requestId, createdAt, startedAt, idempotencyKey: idempotencyKey ?? null };
      return { build: buildOf(await transaction.build.create({ data })), created: true };
    });
  }

  async findByKey(tenantId: TenantId, idempotencyKey: string, specHash: Buffer): Promise<Build | undefined> {
    const row = await this.#prisma.build.findUnique({ where: { tenantId_idempotencyKey: { tenantId, idempotencyKey } } });
    return row === null ? undefined : sameRequest(row, specHash);
  }

  async find(tenantId: TenantId, id: BuildId): Promise<Build | undefined> {
    const row = await this.#prisma.build.findUnique({ where: { tenantId_id: { tenantId, id } } });
    return row === null ? undefined : buildOf(row);
  }

  async list(tenantId: TenantId, { limit, cursor, state }: { readonly limit: number; readonly cursor?: string | undefined; readonly state?: Build['state'] | undefined }): Promise<Page<Build>> {
    const where = { tenantId, ...(state === undefined ? {} : { state }), ...(cursor === undefined ? {} : { id: { lt: decodeCursor('build', cursor) } }) };
    const rows = await this.#prisma.build.findMany({ where, orderBy: { id: 'desc' }, take: limit + 1 });
    return pageOf(rows, limit, buildOf);
  }

  async countUnfinished(tenantId: TenantId): Promise<number> {
    return this.#prisma.build.count({ where: { tenantId, state: UNFINISHED } });
  }

  async requestCancel(tenantId: TenantId, id: BuildId, at: Date): Promise<Build> {
    await this.#prisma.build.updateMany({ where: { tenantId, id, state: UNFINISHED, cancelRequestedAt: null }, data: { cancelRequestedAt: at } });
    const build = await this.find(tenantId, id);
    if (build === undefined) throw new CodedError('not_found', 'no such build', { kind: 'build' });
    return build;
  }

  async markStarted(tenantId: TenantId, id: BuildId, at: Date): Promise<boolean> {
    const { count } = await this.#prisma.build.updateMany({ where: { tenantId, id, state: 'queued' }, data: { state: 'running', startedAt: at } });
    return count > 0;
  }

  async markFinished(tenantId: TenantId, id: BuildId, at: Date, outcome: BuildOutcome): Promise<boolean> {
    const data = { state: outcome.state, finishedAt: at, outcome: new Uint8Array(toJsonBytes(outcome)) };
    const { count } = await this.#prisma.build.updateMany({ where: { tenantId, id, state: UNFINISHED }, data });
    return count > 0;
  }

  async markRequeued(tenantId: TenantId, id: BuildId): Promise<boolean> {
    const { count } = await this.#prisma.build.updateMany({ where: { tenantId, id, state: UNFINISHED }, data: { requeued: { increment: 1 } } });
    return count > 0;
  }

  async listUnfinished(): Promise<Build[]> {
    const rows = await this.#prisma.build.findMany({ where: { finishedAt: null }, orderBy: { id: 'asc' } });
    return rows.map(buildOf);
  }

  async deleteFinishedBefore(before: Date, limit: number): Promise<number> {
    return this.#prisma.$executeRaw`delete from builds where id in (select id from builds where finished_at < ${before} order by finished_at, id limit ${limit})`;
  }
}

/** @throws CodedError `conflict` when the key came with another request */
function sameRequest(row: BuildRow, specHash: Buffer): Build {
  if (!specHash.equals(row.specHash)) throw new CodedError('conflict', 'this idempotency key was used with another request', { buildId: row.id });
  return buildOf(row);
}

function buildOf(row: BuildRow): Build {
  const { attached, requestId, requeued, createdAt, startedAt, finishedAt, cancelRequestedAt } = row;
  return {
    id: row.id as BuildId,
    tenantId: row.tenantId as TenantId,
    state: row.state as Build['state'],
    spec: buildSpecSchema.parse(jsonOf(row.spec)),
    nodeId: row.nodeId as NodeId,
    attached,
    requestId,
    requeued,
    outcome: row.outcome === null ? null : buildOutcomeSchema.parse(jsonOf(row.outcome)),
    createdAt,
    startedAt,
    finishedAt,
    cancelRequestedAt,
  };
}

function jsonOf(bytes: Uint8Array): unknown {
  return JSON.parse(Buffer.from(bytes).toString('utf8'));
}
