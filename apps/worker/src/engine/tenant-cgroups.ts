import type { TenantLimits } from '#contracts';
import type { CgroupManager } from '#engine';
import { isCodedError, type TenantId } from '#kernel';

/** The cgroups of tenants, given new limits only when they change. One for all that makes sandboxes: what each was given last is remembered here. */
export class TenantCgroups {
  private readonly tenants = new Map<TenantId, { limits: string; ready: Promise<unknown> }>();

  constructor(private readonly cgroups: Pick<CgroupManager, 'ensureTenant'>) {}

  async ensure(tenantId: TenantId, { memoryBytes, cpuMillis, pids }: TenantLimits): Promise<void> {
    const limits = JSON.stringify([memoryBytes, cpuMillis, pids]);
    const known = this.tenants.get(tenantId);
    if (known?.limits === limits) {
      await known.ready;
      return;
    }
    const ready = this.cgroups.ensureTenant(tenantId, { memoryBytes, cpuMillis, pids }).catch((error: unknown) => {
      // More is in use at this moment than the new limits allow: the old ones hold until the next sandbox finds less.
      if (!isCodedError(error, 'failed_precondition')) throw error;
      this.tenants.delete(tenantId);
    });
    this.tenants.set(tenantId, { limits, ready });
    try {
      await ready;
    } catch (error) {
      this.tenants.delete(tenantId);
      throw error;
    }
  }
}
