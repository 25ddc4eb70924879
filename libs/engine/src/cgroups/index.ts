export * from './cgroups.js';
export { detectCgroupMode } from './hierarchies.js';
export { createCgroupManager, type CgroupManagerOptions } from './manager.js';
