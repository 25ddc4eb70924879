import { isId, type TenantId } from '#kernel';

/** Owns what the platform builds for itself. No id that is ever made is this one (ids begin with the time), so no key, row or call leads to it. */
export const PLATFORM_TENANT: TenantId = platformTenant('ten_00000000000000000000000000');

function platformTenant(text: string): TenantId {
  if (!isId('tenant', text)) throw new TypeError('the platform has no id');
  return text;
}
