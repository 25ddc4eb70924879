export * from './runtime.js';
export * from './agent/agent.js';
export { connectAgent } from './agent/connect-agent.js';
export { AgentConnection } from './agent/agent-connection.js';
export type { OciRuntime, OciContainer } from './oci-runtime.js';
export { crunRuntime } from './drivers/crun.js';
export { runcRuntime } from './drivers/runc.js';
export { createSandboxRuntime, type SandboxRuntimeOptions } from './sandbox-runtime.js';
