import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import type { TenantLimits } from '#contracts';
import type { CgroupManager } from '#engine';
import { errnoOf, isCodedError, type TenantId } from '#kernel';

type Limits = Pick<TenantLimits, 'memoryBytes' | 'cpuMillis' | 'pids'>;

const keptSchema = z.object({ memoryBytes: z.int(), cpuMillis: z.int(), pids: z.int() });

/**
 * The cgroups of tenants, given new limits only when they change. One for all that makes sandboxes: what each was given last is remembered here, and in a
 * folder, because containers that start with the node start before anybody of their tenant has called.
 */
export class TenantCgroups {
  private readonly tenants = new Map<TenantId, { limits: string; ready: Promise<unknown> }>();

  /** @param folder absent: nothing is remembered beyond this object */
  constructor(
    private readonly cgroups: Pick<CgroupManager, 'ensureTenant'>,
    private readonly folder?: string,
  ) {}

  async ensure(tenantId: TenantId, { memoryBytes, cpuMillis, pids }: Limits): Promise<void> {
    const limits = JSON.stringify({ memoryBytes, cpuMillis, pids });
    const known = this.tenants.get(tenantId);
    if (known?.limits === limits) {
      await known.ready;
      return;
    }
    const ready = this.limit(tenantId, { memoryBytes, cpuMillis, pids }).then(() => this.keep(tenantId, limits));
    this.tenants.set(tenantId, { limits, ready });
    try {
      await ready;
    } catch (error) {
      this.tenants.delete(tenantId);
      throw error;
    }
  }

  /** As it was last time; a tenant that was never given any has none. */
  async ensureAgain(tenantId: TenantId): Promise<void> {
    const limits = await this.kept(tenantId);
    if (limits !== undefined) await this.ensure(tenantId, limits);
  }

  async forget(tenantId: TenantId): Promise<void> {
    this.tenants.delete(tenantId);
    if (this.folder !== undefined) await rm(this.fileOf(this.folder, tenantId), { force: true });
  }

  private async limit(tenantId: TenantId, limits: Limits): Promise<void> {
    try {
      await this.cgroups.ensureTenant(tenantId, limits);
    } catch (error) {
      // More is in use at this moment, or given to a sandbox, than the new limits allow: the old ones hold until the next sandbox finds less.
      if (!isCodedError(error, 'failed_precondition') && !isCodedError(error, 'invalid_argument')) throw error;
      this.tenants.delete(tenantId);
    }
  }

  /** Not forced to disk: a machine that goes down in the moment of a change has what was before. */
  private async keep(tenantId: TenantId, limits: string): Promise<void> {
    if (this.folder === undefined) return;
    await mkdir(this.folder, { recursive: true, mode: 0o700 });
    await writeFile(this.fileOf(this.folder, tenantId), limits, { mode: 0o600 });
  }

  private async kept(tenantId: TenantId): Promise<Limits | undefined> {
    if (this.folder === undefined) return undefined;
    try {
      return keptSchema.safeParse(JSON.parse(await readFile(this.fileOf(this.folder, tenantId), 'utf8'))).data;
    } catch (error) {
      // Torn by a crash: the next call of the tenant's says it again.
      if (error instanceof SyntaxError || errnoOf(error) === 'ENOENT') return undefined;
      throw error;
    }
  }

  private fileOf(folder: string, tenantId: TenantId): string {
    return join(folder, `${tenantId}.json`);
  }
}
