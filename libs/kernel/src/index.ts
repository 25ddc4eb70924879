export * from './errors.js';
export * from './ids.js';
export * from './digest.js';
export * from './logger.js';
export * from './read-exactly.js';
export * from './references.js';
export * from './clock.js';
export * from './stream-garbage.js';
