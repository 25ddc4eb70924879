export * from './cgroups.js';
export { detectCgroupMode } from './hierarchies.js';
export { createCgroupManager, type CgroupManagerOptions } from './manager.js';
export { cgroupTreeDirs } from './tree-dirs.js';
