export * from './linux/index.js';
export * from './tar/index.js';
export * from './content/index.js';
export * from './cgroups/index.js';
export * from './snapshots/index.js';
export * from './images/index.js';
export * from './runtime/index.js';
