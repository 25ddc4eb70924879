export * from './runtime.js';
export * from './agent/agent.js';
export { connectAgent } from './agent/connect-agent.js';
export { AgentConnection } from './agent/agent-connection.js';
