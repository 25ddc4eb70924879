import type { TenantLimits } from '#contracts';
import type { TenantId } from '#kernel';

export interface Tenant {
  readonly id: TenantId;
  readonly name: string;
  readonly limits: TenantLimits;
  readonly createdAt: Date;
}
