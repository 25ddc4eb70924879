import type { TenantId } from '#kernel';

/** Who uses which name. A name need not exist: whoever wants a volume holds its name first and looks then, so that no removal comes between. */
export class VolumeHolds {
  readonly #tenants = new Map<TenantId, Map<string, Set<string>>>();

  add(tenantId: TenantId, name: string, holder: string): void {
    const names = this.#tenants.get(tenantId) ?? new Map<string, Set<string>>();
    this.#tenants.set(tenantId, names);
    const holders = names.get(name) ?? new Set<string>();
    names.set(name, holders);
    holders.add(holder);
  }

  delete(tenantId: TenantId, name: string, holder: string): void {
    const names = this.#tenants.get(tenantId);
    const holders = names?.get(name);
    if (names === undefined || holders === undefined) return;
    holders.delete(holder);
    if (holders.size === 0) names.delete(name);
    if (names.size === 0) this.#tenants.delete(tenantId);
  }

  of(tenantId: TenantId, name: string): readonly string[] {
    return [...(this.#tenants.get(tenantId)?.get(name) ?? [])];
  }

  has(tenantId: TenantId, name: string): boolean {
    return this.#tenants.get(tenantId)?.has(name) ?? false;
  }

  forget(tenantId: TenantId): void {
    this.#tenants.delete(tenantId);
  }
}
