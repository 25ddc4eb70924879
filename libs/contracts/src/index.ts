export * from './errors.js';
export * from './jobs.js';
export * from './logs.js';
export * from './node-events.js';
export * from './run-limits.js';
export * from './runs.js';
export * from './runtimes.js';
export * from './tenants.js';
