export * from './runtime.js';
export * from './agent/agent.js';
