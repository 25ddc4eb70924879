export * from './containers.js';
export * from './ports.js';
export * from './processes.js';
export { TenantContainerPorts } from './drivers/tenant-container-ports.js';
export * from './files.js';
export { TenantContainers } from './drivers/tenant-containers.js';
export type { ContainerDefaults, TenantContainersOptions } from './drivers/container-services.js';
export { CONTAINER_ANNOTATION } from './drivers/container-starter.js';
export { parseSignal } from './drivers/signals.js';
