export * from './client.js';
export { SandbarApiError } from './errors.js';
export { type FollowOptions } from './logs.js';
export * from './runs.js';
export * from './tenants.js';
export { type ClientOptions } from './transport.js';
export * from './images.js';
export * from './operations.js';
export * from './volumes.js';
