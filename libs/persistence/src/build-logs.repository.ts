import type { BuildFrame } from '#contracts';
import { CodedError, type BuildId, type TenantId } from '#kernel';
import type { PrismaClient } from './generated/client.js';
import { packFrames, unpackFrames } from './packed-frames.js';
import type { BuildLogRepository } from './builds.js';

export class PostgresBuildLogRepository implements BuildLogRepository {
  readonly #prisma: PrismaClient;

  constructor(prisma: PrismaClient) {
    this.#prisma = prisma;
  }

  async save(tenantId: TenantId, buildId: BuildId, frames: readonly BuildFrame[]): Promise<void> {
    const build = await this.#prisma.build.findUnique({ where: { tenantId_id: { tenantId, id: buildId } }, select: { id: true } });
    if (build === null) throw new CodedError('not_found', 'no such build', { kind: 'build' });
    // Should the build be deleted meanwhile, the foreign key on (tenant, build) refuses: not_found as well.
    await this.#prisma.buildLog.createMany({ data: [{ tenantId, buildId, frames: await packFrames(frames) }], skipDuplicates: true });
  }

  async load(tenantId: TenantId, buildId: BuildId): Promise<BuildFrame[] | undefined> {
    const row = await this.#prisma.buildLog.findUnique({ where: { tenantId_buildId: { tenantId, buildId } } });
    return row === null ? undefined : unpackFrames(row.frames);
  }
}
