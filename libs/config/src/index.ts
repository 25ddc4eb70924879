export * from './env-example.js';
export { loadEngineConfig, loadGatewayConfig, loadWorkerConfig, type Environment } from './load.js';
export * from './quantities.js';
export * from './redis-url.js';
export * from './schemas.js';
export { LOG_LEVELS, type LogLevel, type NodeRpcListen } from './variables.js';
