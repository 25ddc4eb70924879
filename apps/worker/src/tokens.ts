/** Names of what Nest hands out that is no class of ours. */
export const WORKER_CONFIG = Symbol('WorkerConfig');
export const LOGGER = Symbol('Logger');
export const STORES = Symbol('EngineStores');
export const ENGINE = Symbol('Engine');
export const HOST = Symbol('Host');
