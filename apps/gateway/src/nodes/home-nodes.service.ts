import { Inject, Injectable } from '@nestjs/common';
import { CodedError, isId, type Clock, type NodeId, type TenantId } from '#kernel';
import type { Repositories } from '#persistence';
import type { NodeRegistry } from '#queue';
import { CLOCK, NODE_REGISTRY, REPOSITORIES } from '../platform/platform.js';

const SIZE = 10_000;
/** As long as the runtime catalogue trusts what the registry says. */
const TTL_MS = 1_000;

/** Which node a tenant's virtual host lives on, and where that node listens. */
@Injectable()
export class HomeNodes {
  /** A home is kept for ever, so what was read once stays true. */
  private readonly homes = new Map<TenantId, NodeId>();
  private readonly addresses = new Map<NodeId, { readonly rpcUrl: string; readonly readAt: number }>();

  constructor(
    @Inject(REPOSITORIES) private readonly repositories: Repositories,
    @Inject(NODE_REGISTRY) private readonly registry: NodeRegistry,
    @Inject(CLOCK) private readonly clock: Clock,
  ) {}

  /**
   * The tenant's home; with its first use, the ready node that is home to the fewest tenants becomes it.
   * @throws CodedError `unavailable` (it has none, and no node is ready), `not_found` (no such tenant)
   */
  async of(tenantId: TenantId): Promise<NodeId> {
    const known = this.homes.get(tenantId);
    if (known !== undefined) return known;
    const home = (await this.repositories.tenants.homeNode(tenantId)) ?? (await this.assign(tenantId));
    if (this.homes.size >= SIZE) this.homes.clear();
    this.homes.set(tenantId, home);
    return home;
  }

  /** @throws CodedError `unavailable` while it is away */
  async rpcUrlOf(nodeId: NodeId): Promise<string> {
    const now = this.clock.now();
    const known = this.addresses.get(nodeId);
    if (known !== undefined && now - known.readAt < TTL_MS) return known.rpcUrl;
    const node = await this.registry.get(nodeId);
    if (node === undefined) {
      this.addresses.delete(nodeId);
      throw new CodedError('unavailable', "the tenant's home node is away: try again", { nodeId });
    }
    this.addresses.set(nodeId, { rpcUrl: node.rpcUrl, readAt: now });
    return node.rpcUrl;
  }

  private async assign(tenantId: TenantId): Promise<NodeId> {
    const ready = (await this.registry.list()).filter((node) => node.ready).map(({ nodeId }) => nodeId);
    const candidates = ready.filter((nodeId) => isId('node', nodeId));
    if (candidates.length === 0) throw new CodedError('unavailable', 'no node is there to be the home of the tenant: try again');
    return this.repositories.tenants.assignHomeNode(tenantId, candidates);
  }
}
