import { Inject, Injectable } from '@nestjs/common';
import type { SandboxView, UpdateSandbox } from '#contracts';
import type { TenantCaller } from '../auth/caller.js';
import type { TenantHost, TenantHosts } from '../nodes/tenant-host.js';
import { Lifecycle } from '../platform/lifecycle.js';
import { TENANT_HOSTS } from '../platform/platform.js';
import { checkLimits } from './sandbox-limits.js';
import type { KillSandbox, StopSandbox, WaitSandboxQuery } from './sandbox-requests.schema.js';
import { toSandboxView } from './sandbox-view.js';
import { inSandboxWords } from './sandbox-words.js';

/** What is done to a sandbox that is there. Each verb gives it as it is afterwards. */
@Injectable()
export class SandboxLife {
  constructor(
    @Inject(TENANT_HOSTS) private readonly hosts: TenantHosts,
    private readonly lifecycle: Lifecycle,
  ) {}

  /** Idempotent: one that runs goes on. @throws CodedError `not_found`, `invalid_argument` (its command cannot be executed) */
  start(caller: TenantCaller, ref: string): Promise<SandboxView> {
    return this.verb(caller, ref, (host, id) => host.startContainer(id));
  }

  /** Idempotent: one that does not run stays as it is. */
  stop(caller: TenantCaller, ref: string, options: StopSandbox): Promise<SandboxView> {
    return this.verb(caller, ref, (host, id) => host.stopContainer(id, stopOptions(options)));
  }

  restart(caller: TenantCaller, ref: string, options: StopSandbox): Promise<SandboxView> {
    return this.verb(caller, ref, (host, id) => host.restartContainer(id, stopOptions(options)));
  }

  /**
   * Limits are in force at once, a new name is what it is found by from now on.
   * @throws CodedError `not_found`, `conflict` (the name is taken; more memory is in use), `invalid_argument`
   */
  update(caller: TenantCaller, ref: string, { name, limits, restart }: UpdateSandbox): Promise<SandboxView> {
    if (limits !== undefined) checkLimits(limits, caller.tenant.limits);
    return this.verb(caller, ref, async (host, id) => {
      if (limits !== undefined || restart !== undefined) await host.updateContainer(id, { limits: limits ?? {}, ...(restart === undefined ? {} : { restart }) });
      if (name !== undefined && (await host.container(id)).name !== name) await host.renameContainer(id, name);
    });
  }

  /** @throws CodedError `not_found`, `conflict` (it does not run) */
  kill(caller: TenantCaller, ref: string, { signal }: KillSandbox): Promise<SandboxView> {
    return this.verb(caller, ref, (host, id) => host.killContainer(id, signal));
  }

  /** @throws CodedError `not_found`, `conflict` (it does not run, or is paused) */
  pause(caller: TenantCaller, ref: string): Promise<SandboxView> {
    return this.verb(caller, ref, (host, id) => host.pauseContainer(id));
  }

  /** @throws CodedError `not_found`, `conflict` (it is not paused) */
  resume(caller: TenantCaller, ref: string): Promise<SandboxView> {
    return this.verb(caller, ref, (host, id) => host.unpauseContainer(id));
  }

  /**
   * `reached` is false when the time is up, the caller has gone or the gateway drains: then the view says how it is.
   * @throws CodedError `not_found`, `gone` (removed meanwhile)
   */
  wait(caller: TenantCaller, ref: string, { state, timeoutMs }: WaitSandboxQuery, hungUp: AbortSignal): Promise<{ view: SandboxView; reached: boolean }> {
    const over = AbortSignal.any([hungUp, this.lifecycle.draining, AbortSignal.timeout(timeoutMs)]);
    return inSandboxWords(this.untilReached(caller, ref, state, over));
  }

  private async untilReached({ tenant }: TenantCaller, ref: string, state: WaitSandboxQuery['state'], over: AbortSignal): Promise<{ view: SandboxView; reached: boolean }> {
    const host = this.hosts.of(tenant);
    const before = await host.container(ref);
    try {
      const container = await host.containerReached(before.id, state, over);
      return { view: container === undefined ? { ...toSandboxView(before), state: 'removed' } : toSandboxView(container), reached: true };
    } catch (error) {
      if (!over.aborted) throw error;
      return { view: toSandboxView(await host.container(before.id)), reached: false };
    }
  }

  /** Under its ID: a name may lead to another one by the end. */
  private verb({ tenant }: TenantCaller, ref: string, act: (host: TenantHost, id: string) => Promise<unknown>): Promise<SandboxView> {
    const host = this.hosts.of(tenant);
    const carryOut = async (): Promise<SandboxView> => {
      const before = await host.container(ref);
      await act(host, before.id);
      return before.request.autoRemove ? host.container(before.id).then(toSandboxView, () => ({ ...toSandboxView(before), state: 'removed' })) : toSandboxView(await host.container(before.id));
    };
    return inSandboxWords(carryOut());
  }
}

function stopOptions({ signal, timeoutSeconds }: StopSandbox): { readonly signal?: string; readonly timeoutSeconds?: number } {
  return { ...(signal === undefined ? {} : { signal }), ...(timeoutSeconds === undefined ? {} : { timeoutSeconds }) };
}
