export * from './docker/index.js';
export * from './platform/index.js';
export * from './postgres/index.js';
export * from './redis.js';
export * from './registry/index.js';
export * from './rows/index.js';
