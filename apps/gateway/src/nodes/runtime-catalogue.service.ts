import { Inject, Injectable } from '@nestjs/common';
import type { AvailableRuntime, NodeHeartbeat, RuntimeView } from '#contracts';
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

  /** By name: what all nodes that take runs have, for a run goes to whichever is free. It is shown as the first of them has it. */
  async list(): Promise<RuntimeView[]> {
    const takers = await this.takers();
    const [first] = takers;
    const everywhere = (first?.runtimes ?? []).filter(({ name }) => takers.every(({ runtimes }) => runtimes.some((runtime) => runtime.name === name)));
    return everywhere.sort(byName);
  }

  /** Languages that are defined on a node and not yet on all of them. */
  async available(): Promise<AvailableRuntime[]> {
    const offered = new Set((await this.list()).map(({ name }) => name));
    const known = new Map((await this.takers()).flatMap((node) => [...node.availableRuntimes, ...node.runtimes]).map(({ name, title }) => [name, { name, title }]));
    return [...known.values()].filter(({ name }) => !offered.has(name)).sort(byName);
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

  /** What the nodes have said since the last look counts at once. */
  refresh(): void {
    this.cached = undefined;
  }

  /** Ready nodes with at least one runtime: the service can take a run. */
  async readyNodes(): Promise<number> {
    return (await this.nodes()).filter((node) => node.ready && node.runtimes.length > 0).length;
  }

  /** The ready ones; while there is none, those that will be: they are starting. */
  private async takers(): Promise<readonly NodeHeartbeat[]> {
    const nodes = await this.nodes();
    const ready = nodes.filter((node) => node.ready);
    return ready.length > 0 ? ready : nodes;
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

function byName(left: { readonly name: string }, right: { readonly name: string }): number {
  return left.name < right.name ? -1 : 1;
}
