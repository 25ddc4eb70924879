import { Inject, Injectable } from '@nestjs/common';
import type { NodeHeartbeat, RuntimeView } from '#contracts';
import { CodedError, type Clock } from '#kernel';
import type { NodeRegistry } from '#queue';
import { CLOCK, NODE_REGISTRY } from '../platform/platform.js';

const TTL_MS = 1_000;

/** The runtimes that the live nodes offer. */
@Injectable()
export class RuntimeCatalogue {
  private cached: { readonly nodes: readonly NodeHeartbeat[]; readonly readAt: number } | undefined;

  constructor(
    @Inject(NODE_REGISTRY) private readonly registry: NodeRegistry,
    @Inject(CLOCK) private readonly clock: Clock,
  ) {}

  /** By name. A runtime that several nodes have is shown as the first of them has it. */
  async list(): Promise<RuntimeView[]> {
    const byName = new Map<string, RuntimeView>();
    for (const node of await this.nodes()) {
      for (const runtime of node.runtimes) if (!byName.has(runtime.name)) byName.set(runtime.name, runtime);
    }
    return [...byName.values()].sort((left, right) => (left.name < right.name ? -1 : 1));
  }

  /**
   * The name that `wanted` stands for. A node that is starting counts: it will take the run.
   * @throws CodedError `invalid_argument` naming those there are, `unavailable` when no node is there
   */
  async resolve(wanted: string): Promise<string> {
    const runtimes = await this.list();
    if (runtimes.length === 0) throw new CodedError('unavailable', 'no node is there to take runs: try again');
    const found = runtimes.find(({ name }) => name === wanted) ?? runtimes.find(({ aliases }) => aliases.includes(wanted));
    if (found !== undefined) return found.name;
    const names = runtimes.map(({ name }) => name);
    const message = `there is no runtime of that name; there are ${names.join(', ')}`;
    throw new CodedError('invalid_argument', `runtime: ${message}`, { issues: [{ path: 'runtime', message }], runtimes: names });
  }

  /** Ready nodes with at least one runtime: the service can take a run. */
  async readyNodes(): Promise<number> {
    return (await this.nodes()).filter((node) => node.ready && node.runtimes.length > 0).length;
  }

  private async nodes(): Promise<readonly NodeHeartbeat[]> {
    const now = this.clock.now();
    if (this.cached === undefined || now - this.cached.readAt >= TTL_MS) {
      const nodes = await this.registry.list();
      this.cached = { nodes: nodes.sort((left, right) => (left.nodeId < right.nodeId ? -1 : 1)), readAt: now };
    }
    return this.cached.nodes;
  }
}
