import { Inject, Injectable, type OnApplicationShutdown } from '@nestjs/common';
import { runtimeStateSchema, type NodeHeartbeat, type RuntimeInstallView } from '#contracts';
import { CodedError, isCodedError } from '#kernel';
import type { NodeRegistry } from '#queue';
import { NODE_REGISTRY, SETTINGS } from '../platform/platform.js';
import type { GatewaySettings } from '../platform/settings.js';
import { checked } from './host-rpc.js';
import { NodeConnection } from './node-connection.js';
import { NodeSockets } from './node-sockets.js';
import { RuntimeCatalogue } from './runtime-catalogue.service.js';

type NodeState = RuntimeInstallView['nodes'][number];

/** Installations of languages on all nodes. What a node has and another has not, that one gets by itself: nothing is kept here. */
@Injectable()
export class RuntimeInstalls implements OnApplicationShutdown {
  private readonly sockets = new NodeSockets({ maxSockets: 16 });

  constructor(
    @Inject(NODE_REGISTRY) private readonly registry: NodeRegistry,
    @Inject(SETTINGS) private readonly settings: GatewaySettings,
    private readonly catalogue: RuntimeCatalogue,
  ) {}

  onApplicationShutdown(): void {
    this.sockets.close();
  }

  /** Begun on every live node, or tried again where it failed. Idempotent. @throws CodedError `not_found` (no node knows it), `unavailable` (no node is there) */
  begin(name: string): Promise<RuntimeInstallView> {
    return this.ask('POST', name);
  }

  /** @throws CodedError as `begin` */
  get(name: string): Promise<RuntimeInstallView> {
    return this.ask('GET', name);
  }

  private async ask(method: 'GET' | 'POST', name: string): Promise<RuntimeInstallView> {
    const nodes = await this.registry.list();
    if (nodes.length === 0) throw new CodedError('unavailable', 'no node is there: try again');
    const answers = await Promise.all(nodes.map((node) => this.askNode(node, method, name)));
    const found = answers.find((answer) => answer.name !== undefined);
    const silent = answers.find(({ answers: answered }) => !answered);
    if (found?.name === undefined && silent !== undefined) throw new CodedError('unavailable', silent.state.message);
    if (found?.name === undefined) throw new CodedError('not_found', `no runtime ${JSON.stringify(name.slice(0, 100))} is defined on any node`);
    const { name: known } = found;
    const offered = nodes.map(({ runtimes }) => runtimes.some((runtime) => runtime.name === known));
    // What this says is installed can be used with the next request.
    if (offered.every(Boolean)) this.catalogue.refresh();
    return { name: known, nodes: answers.map(({ state }, index) => (state.state === 'installed' && offered[index] !== true ? { ...state, state: 'installing', message: 'is announced' } : state)) };
  }

  /** Without a name: this node does not know it, or does not answer. */
  private async askNode({ nodeId, rpcUrl }: NodeHeartbeat, method: 'GET' | 'POST', wanted: string): Promise<{ readonly name?: string; readonly answers: boolean; readonly state: NodeState }> {
    try {
      const connection = new NodeConnection(rpcUrl, this.settings.nodeRpcToken, this.sockets);
      const { name, ...state } = checked(runtimeStateSchema, await connection.json({ method, path: `/runtimes/${encodeURIComponent(wanted)}/install`, headers: {} }));
      return { name, answers: true, state: { ...state, nodeId } };
    } catch (error) {
      if (!isCodedError(error)) throw error;
      return { answers: error.code === 'not_found', state: { nodeId, state: 'failed', percent: 0, message: error.message } };
    }
  }
}
