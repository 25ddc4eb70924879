import type { Duplex } from 'node:stream';
import { CodedError, type TenantId } from '#kernel';
import type { Dialer } from '../../linux/index.js';
import type { SandboxRuntime } from '../../runtime/index.js';
import type { Containers } from '../containers.js';
import type { ContainerPorts } from '../ports.js';

/** By way of the network name space of the container's first process. */
export class TenantContainerPorts implements ContainerPorts {
  constructor(
    private readonly containers: Pick<Containers, 'get'>,
    private readonly runtime: Pick<SandboxRuntime, 'get'>,
    private readonly dialer: Pick<Dialer, 'dial'>,
  ) {}

  async connect(tenantId: TenantId, text: string, port: number): Promise<Duplex> {
    const { sandboxId, state } = await this.containers.get(tenantId, text);
    const sandbox = sandboxId === undefined || (state.status !== 'running' && state.status !== 'paused') ? undefined : await this.runtime.get(sandboxId);
    if (sandbox === undefined) throw new CodedError('conflict', `Container ${text} is not running`);
    return this.dialer.dial(sandbox.init, port);
  }
}
