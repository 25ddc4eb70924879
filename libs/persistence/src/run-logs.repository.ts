import { promisify } from 'node:util';
import { gunzip, gzip } from 'node:zlib';
import type { LogFrame } from '#contracts';
import { CodedError, type RunId, type TenantId } from '#kernel';
import type { PrismaClient } from './generated/client.js';
import type { RunLogRepository } from './repositories.js';

const compress = promisify(gzip);
const decompress = promisify(gunzip);

export class PostgresRunLogRepository implements RunLogRepository {
  readonly #prisma: PrismaClient;

  constructor(prisma: PrismaClient) {
    this.#prisma = prisma;
  }

  async save(tenantId: TenantId, runId: RunId, frames: readonly LogFrame[]): Promise<void> {
    const run = await this.#prisma.run.findUnique({ where: { tenantId_id: { tenantId, id: runId } }, select: { id: true } });
    if (run === null) throw new CodedError('not_found', 'no such run', { kind: 'run' });
    const compressed = await compress(JSON.stringify(frames), { level: 3 });
    // Should the run be deleted meanwhile, the foreign key on (tenant, run) refuses: not_found as well.
    await this.#prisma.runLog.createMany({ data: [{ tenantId, runId, frames: new Uint8Array(compressed) }], skipDuplicates: true });
  }

  async load(tenantId: TenantId, runId: RunId): Promise<LogFrame[] | undefined> {
    const row = await this.#prisma.runLog.findUnique({ where: { tenantId_runId: { tenantId, runId } } });
    return row === null ? undefined : (JSON.parse((await decompress(row.frames)).toString('utf8')) as LogFrame[]);
  }
}
