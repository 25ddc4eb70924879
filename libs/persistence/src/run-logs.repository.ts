import type { LogFrame } from '#contracts';
import { CodedError, type RunId, type TenantId } from '#kernel';
import type { PrismaClient } from './generated/client.js';
import { packFrames, unpackFrames } from './packed-frames.js';
import type { RunLogRepository } from './repositories.js';

export class PostgresRunLogRepository implements RunLogRepository {
  readonly #prisma: PrismaClient;

  constructor(prisma: PrismaClient) {
    this.#prisma = prisma;
  }

  async save(tenantId: TenantId, runId: RunId, frames: readonly LogFrame[]): Promise<void> {
    const run = await this.#prisma.run.findUnique({ where: { tenantId_id: { tenantId, id: runId } }, select: { id: true } });
    if (run === null) throw new CodedError('not_found', 'no such run', { kind: 'run' });
    // Should the run be deleted meanwhile, the foreign key on (tenant, run) refuses: not_found as well.
    await this.#prisma.runLog.createMany({ data: [{ tenantId, runId, frames: await packFrames(frames) }], skipDuplicates: true });
  }

  async load(tenantId: TenantId, runId: RunId): Promise<LogFrame[] | undefined> {
    const row = await this.#prisma.runLog.findUnique({ where: { tenantId_runId: { tenantId, runId } } });
    return row === null ? undefined : unpackFrames(row.frames);
  }
}
