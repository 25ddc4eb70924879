import { Inject, Injectable } from '@nestjs/common';
import type { CreateTenant, Page, TenantView, UpdateTenant } from '#contracts';
import { CodedError, isCodedError, newId, parseId, type Clock, type TenantId } from '#kernel';
import type { Repositories } from '#persistence';
import type { Admission } from '#queue';
import { KeyAuthenticator } from '../auth/key-authenticator.service.js';
import { HostDrops } from '../nodes/host-drops.service.js';
import { ADMISSION, CLOCK, REPOSITORIES } from '../platform/platform.js';
import { TenantDirectory } from './tenant-directory.service.js';
import { toTenantView } from './tenant-views.js';

/** What the operator does with tenants. */
@Injectable()
export class TenantsService {
  constructor(
    @Inject(REPOSITORIES) private readonly repositories: Repositories,
    @Inject(ADMISSION) private readonly admission: Admission,
    private readonly keys: KeyAuthenticator,
    private readonly directory: TenantDirectory,
    private readonly drops: HostDrops,
    @Inject(CLOCK) private readonly clock: Clock,
  ) {}

  /** @throws CodedError `already_exists` */
  async create({ name, limits }: CreateTenant): Promise<TenantView> {
    const now = this.clock.now();
    const tenant = { id: newId('tenant', now), name, limits, createdAt: new Date(now) };
    try {
      await this.repositories.tenants.create(tenant);
    } catch (error) {
      if (!isCodedError(error, 'already_exists')) throw error;
      const message = `there is a tenant ${name} already`;
      throw new CodedError('already_exists', `name: ${message}`, { issues: [{ path: 'name', message }] }, { cause: error });
    }
    return toTenantView(tenant);
  }

  async list(page: { limit: number; cursor?: string | undefined }): Promise<Page<TenantView>> {
    const { items, nextCursor } = await this.repositories.tenants.list(page);
    return { items: items.map(toTenantView), nextCursor };
  }

  /** @throws CodedError `not_found` */
  async get(id: string): Promise<TenantView> {
    return toTenantView(await this.find(id));
  }

  /** Limits that are not given stay. @throws CodedError `not_found` */
  async update(id: string, { limits }: UpdateTenant): Promise<TenantView> {
    const tenant = await this.find(id);
    const given = Object.fromEntries(Object.entries(limits).filter(([, value]) => value !== undefined));
    const updated = await this.repositories.tenants.updateLimits(tenant.id, { ...tenant.limits, ...given });
    await this.changed(tenant.id);
    return toTenantView(updated);
  }

  /**
   * With its keys, runs, logs, operations and virtual host (which its node removes as soon as it is there).
   * @throws CodedError `not_found`, `failed_precondition` while runs or operations of it are not over: cancel them first
   */
  async delete(id: string): Promise<void> {
    const tenantId = parseId('tenant', id);
    await this.repositories.tenants.delete(tenantId);
    await this.changed(tenantId);
    await this.admission.forget(tenantId);
    this.drops.soon();
  }

  async find(id: string) {
    const tenant = await this.repositories.tenants.find(parseId('tenant', id));
    if (tenant === undefined) throw new CodedError('not_found', 'no such tenant', { kind: 'tenant' });
    return tenant;
  }

  private async changed(id: TenantId): Promise<void> {
    this.directory.forget(id);
    await this.keys.invalidate(id);
  }
}
