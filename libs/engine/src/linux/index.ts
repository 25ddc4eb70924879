export * from './mount.js';
export * from './spawner.js';
