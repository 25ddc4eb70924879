export * from './durable-files.js';
export * from './mount.js';
export * from './spawner.js';
export * from './proc.js';
export * from './remove-folder.js';
export * from './mountinfo.js';
export { HelperSpawner, type HelperSpawnerOptions } from './drivers/helper-spawner.js';
export * from './staging-area.js';
export * from './keyed-queue.js';
