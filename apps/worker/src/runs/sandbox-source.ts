import type { TenantLimits } from '#contracts';
import type { CgroupManager, Sandbox, SandboxLimits, SandboxRuntime } from '#engine';
import { isCodedError, newId, type Digest, type SandboxId, type TenantId } from '#kernel';

export interface SandboxRequest {
  readonly tenantId: TenantId;
  readonly tenantLimits: TenantLimits;
  /** The runtime's unpacked root file system. */
  readonly chainId: Digest;
  readonly limits: SandboxLimits;
  readonly annotations: Readonly<Record<string, string>>;
}

/** Where runs get their sandboxes: made on demand, or kept ready by a pool. A sandbox serves one run. */
export interface SandboxSource {
  /** @throws CodedError as `SandboxRuntime.create` does */
  acquire(request: SandboxRequest): Promise<Sandbox>;
}

/** Makes each sandbox when it is asked for. */
export class FreshSandboxSource implements SandboxSource {
  /** Limits each tenant's cgroup was last given. */
  private readonly tenants = new Map<TenantId, { limits: string; ready: Promise<unknown> }>();

  constructor(
    private readonly runtime: Pick<SandboxRuntime, 'create'>,
    private readonly cgroups: Pick<CgroupManager, 'ensureTenant'>,
  ) {}

  async acquire(request: SandboxRequest): Promise<Sandbox> {
    await this.ensureTenant(request.tenantId, request.tenantLimits);
    const id: SandboxId = newId('sandbox');
    return this.runtime.create({
      id,
      tenantId: request.tenantId,
      chainId: request.chainId,
      hostname: 'sandbox',
      limits: request.limits,
      network: 'none',
      annotations: request.annotations,
    });
  }

  private async ensureTenant(tenantId: TenantId, { memoryBytes, cpuMillis, pids }: TenantLimits): Promise<void> {
    const limits = JSON.stringify([memoryBytes, cpuMillis, pids]);
    const known = this.tenants.get(tenantId);
    if (known?.limits === limits) {
      await known.ready;
      return;
    }
    const ready = this.cgroups.ensureTenant(tenantId, { memoryBytes, cpuMillis, pids }).catch((error: unknown) => {
      // More is in use at this moment than the new limits allow: the old ones hold until the next run finds less.
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
