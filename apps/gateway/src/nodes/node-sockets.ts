import { Agent, type AgentOptions } from 'node:http';
import { TunnelConnections } from './tunnel-connections.js';

/** Connections to nodes that outlive a call. */
export class NodeSockets {
  /** For calls that are a question and an answer. */
  readonly agent: Agent;
  readonly tunnels = new TunnelConnections();

  constructor(options: Pick<AgentOptions, 'maxSockets' | 'maxFreeSockets'> = {}) {
    this.agent = new Agent({ ...options, keepAlive: true });
  }

  close(): void {
    this.agent.destroy();
    this.tunnels.close();
  }
}
