import { Inject, Injectable } from '@nestjs/common';
import type { CreateSandbox, Page, SandboxView } from '#contracts';
import { CodedError, isCodedError } from '#kernel';
import type { TenantCaller } from '../auth/caller.js';
import type { TenantHost, TenantHosts } from '../nodes/tenant-host.js';
import { TENANT_HOSTS } from '../platform/platform.js';
import { checkLimits } from './sandbox-limits.js';
import { pageOfSandboxes } from './sandbox-list.js';
import { isAnswerTo, toContainerRequest, type SandboxBase } from './sandbox-request.js';
import type { ListSandboxesQuery, RemoveSandboxQuery } from './sandbox-requests.schema.js';
import { toSandboxView } from './sandbox-view.js';
import { inSandboxWords } from './sandbox-words.js';

/** The sandboxes that a tenant keeps: the containers of its virtual host, whoever made them. Nothing of them is known here; the home node is asked. */
@Injectable()
export class SandboxesService {
  constructor(@Inject(TENANT_HOSTS) private readonly hosts: TenantHosts) {}

  /**
   * One that cannot be started is taken back. With a key, a repeated call gives the sandbox of the first, as long as it is there.
   * @throws CodedError `invalid_argument`, `not_found` (the image), `conflict` (the name, or the key was used for another request), `quota_exceeded`, `resource_exhausted`
   */
  create(caller: TenantCaller, sandbox: CreateSandbox, key: string | undefined): Promise<SandboxView> {
    checkLimits(sandbox.limits, caller.tenant.limits);
    return inSandboxWords(this.make(caller, sandbox, key));
  }

  async list(caller: TenantCaller, query: ListSandboxesQuery): Promise<Page<SandboxView>> {
    return pageOfSandboxes(await this.host(caller).containers(), query);
  }

  /** @throws CodedError `not_found` */
  async get(caller: TenantCaller, ref: string): Promise<SandboxView> {
    return toSandboxView(await inSandboxWords(this.host(caller).container(ref)));
  }

  /** @throws CodedError `not_found`, `conflict` (it runs) */
  remove(caller: TenantCaller, ref: string, options: RemoveSandboxQuery): Promise<void> {
    return inSandboxWords(this.host(caller).removeContainer(ref, options));
  }

  private async make({ tenant }: TenantCaller, sandbox: CreateSandbox, key: string | undefined): Promise<SandboxView> {
    const host = this.hosts.of(tenant);
    const request = toContainerRequest(tenant.id, sandbox, await baseOf(host, sandbox), key);
    const { id } = await host.createContainer(request);
    const made = await host.container(id);
    if (key !== undefined && !isAnswerTo(sandbox, made.request)) throw new CodedError('conflict', 'the Idempotency-Key was used for another request');
    if (!sandbox.start || made.state.status !== 'created') return toSandboxView(made);
    await startOrUndo(host, id);
    try {
      return toSandboxView(await host.container(id));
    } catch (error) {
      // It has ended already, and has gone by itself.
      if (sandbox.autoRemove && isCodedError(error, 'not_found')) return { ...toSandboxView(made), state: 'removed' };
      throw error;
    }
  }

  private host(caller: TenantCaller): TenantHost {
    return this.hosts.of(caller.tenant);
  }
}

async function baseOf(host: TenantHost, { image, runtime }: CreateSandbox): Promise<SandboxBase> {
  if (runtime === undefined) return { image: image ?? '', env: {} };
  try {
    return await host.runtimeImage(runtime);
  } catch (error) {
    if (!isCodedError(error, 'not_found')) throw error;
    throw new CodedError('invalid_argument', `runtime: ${error.message}`, { issues: [{ path: 'runtime', message: error.message }] }, { cause: error });
  }
}

async function startOrUndo(host: TenantHost, id: string): Promise<void> {
  try {
    await host.startContainer(id);
  } catch (error) {
    // What cannot be removed now is seen in the list; the reason that counts is the first.
    await host.removeContainer(id, { force: true, volumes: true }).catch(() => undefined);
    throw error;
  }
}
