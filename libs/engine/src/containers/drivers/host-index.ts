import type { TenantId } from '#kernel';
import type { ContainerLife } from './container-life.js';

/** Which containers each tenant has, and which names are taken: those of containers and those of containers in the making. */
export class HostIndex {
  private readonly tenants = new Map<TenantId, Map<string, ContainerLife>>();
  private readonly reserved = new Map<string, string>();

  add(life: ContainerLife): void {
    const { tenantId } = life.record;
    const host = this.tenants.get(tenantId) ?? new Map<string, ContainerLife>();
    host.set(life.id, life);
    this.tenants.set(tenantId, host);
  }

  remove(life: ContainerLife): void {
    const host = this.tenants.get(life.record.tenantId);
    host?.delete(life.id);
    if (host?.size === 0) this.tenants.delete(life.record.tenantId);
  }

  of(tenantId: TenantId): Iterable<ContainerLife> {
    return this.tenants.get(tenantId)?.values() ?? [];
  }

  *all(): Generator<ContainerLife> {
    for (const host of this.tenants.values()) yield* host.values();
  }

  /** The ID of the container that has the name, or is to have it. */
  ownerOf(tenantId: TenantId, name: string): string | undefined {
    for (const life of this.of(tenantId)) if (life.name === name) return life.id;
    return this.reserved.get(`${tenantId}/${name}`);
  }

  reserve(tenantId: TenantId, name: string, id: string): void {
    this.reserved.set(`${tenantId}/${name}`, id);
  }

  unreserve(tenantId: TenantId, name: string): void {
    this.reserved.delete(`${tenantId}/${name}`);
  }
}
