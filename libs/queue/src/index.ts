export * from './queue.js';
export * from './front-doors.js';
export { EVERY_SUBJECT } from './auth/redis-auth-invalidation.js';
export { SealedAuth } from './operations/sealed-auth.js';
