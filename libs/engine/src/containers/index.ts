export * from './containers.js';
export * from './processes.js';
export * from './files.js';
export { TenantContainers } from './drivers/tenant-containers.js';
export type { ContainerDefaults, TenantContainersOptions } from './drivers/container-services.js';
export { CONTAINER_ANNOTATION } from './drivers/container-starter.js';
export { parseSignal } from './drivers/signals.js';
export { resolveUser } from './drivers/guest-accounts.js';
