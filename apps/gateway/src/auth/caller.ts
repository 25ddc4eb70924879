import type { Scope, TenantLimits } from '#contracts';
import { CodedError, type ApiKeyId, type TenantId } from '#kernel';

/** Who is calling: the key that was shown, and the tenant it belongs to (none: the operator). */
export interface Caller {
  readonly keyId: ApiKeyId;
  readonly keyHash: string;
  readonly scopes: readonly Scope[];
  readonly tenant: CallingTenant | null;
}

export interface CallingTenant {
  readonly id: TenantId;
  readonly name: string;
  readonly limits: TenantLimits;
  readonly createdAt: Date;
}

/** A caller that acts for a tenant: what every route on a tenant's own things takes. */
export interface TenantCaller extends Caller {
  readonly tenant: CallingTenant;
}

/** @throws CodedError `permission_denied` for the operator's keys: they own no runs. */
export function asTenantCaller(caller: Caller): TenantCaller {
  const { tenant } = caller;
  if (tenant === null) throw new CodedError('permission_denied', "this needs a tenant's key");
  return { ...caller, tenant };
}

/** Anyone with a valid key may use a route with the permission `any`. */
export type Permission = Scope | 'any' | 'public';

/** @throws CodedError `permission_denied` */
export function assertPermitted(caller: Caller, permission: Exclude<Permission, 'public'>): void {
  if (permission === 'any') return;
  if (!caller.scopes.includes(permission)) {
    throw new CodedError('permission_denied', `this needs a key with the scope ${permission}`, { scope: permission });
  }
  // A key of a tenant never acts for the operator, whatever its row says.
  if (permission === 'admin' && caller.tenant !== null) throw new CodedError('permission_denied', "this needs the operator's key", { scope: permission });
  if (permission !== 'admin') asTenantCaller(caller);
}
