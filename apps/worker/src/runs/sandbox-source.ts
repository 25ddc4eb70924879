import type { TenantLimits } from '#contracts';
import type { Sandbox, SandboxLimits, SandboxRuntime } from '#engine';
import { newId, type Digest, type SandboxId, type TenantId } from '#kernel';
import type { TenantCgroups } from '../engine/tenant-cgroups.js';

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
  constructor(
    private readonly runtime: Pick<SandboxRuntime, 'create'>,
    private readonly cgroups: Pick<TenantCgroups, 'ensure'>,
  ) {}

  async acquire(request: SandboxRequest): Promise<Sandbox> {
    await this.cgroups.ensure(request.tenantId, request.tenantLimits);
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
}
