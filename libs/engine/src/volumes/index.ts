export * from './volumes.js';
export { TenantVolumes, type TenantVolumesOptions } from './drivers/tenant-volumes.js';
