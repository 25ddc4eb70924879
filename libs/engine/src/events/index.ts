export * from './events.js';
export { MemoryHostEvents } from './drivers/memory-host-events.js';
