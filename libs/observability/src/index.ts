export * from './http-logging.js';
export * from './log-context.js';
export * from './logger.js';
export * from './metrics.js';
export { redactSecrets } from './redaction.js';
