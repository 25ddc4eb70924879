export * from './durable-files.js';
export * from './mount.js';
export * from './spawner.js';
export * from './staging-area.js';
