import { readFile } from 'node:fs/promises';
import { errnoOf, type TenantId } from '#kernel';
import { bridgeLinkOf } from '../fixed-networks.js';
import { hostRules, HOST_TABLE } from '../host-rules.js';
import type { Ipv4 } from '../ipv4.js';
import { macOf, spaceLine, type NetHelper } from '../net-helper.js';
import type { Network } from '../networks.js';
import { addElements, bridgeElement, internalElement, removeElements, type RuleElement } from '../rule-elements.js';
import type { Holder, Holders } from './holders.js';
import type { NodeGate } from './node-gate.js';
import { gatewayText, type BridgeNetwork } from './tenant-networks.js';

export interface TenantHostParts {
  readonly tenantId: TenantId;
  readonly holders: Holders;
  readonly gate: NodeGate;
  readonly helper: NetHelper;
}

/** One tenant's host name space: its holder, its uplink, its bridges. */
export class TenantHost {
  readonly #bridges = new Map<string, Promise<void>>();

  private constructor(
    private readonly parts: TenantHostParts,
    readonly holder: Holder,
    readonly mtu: number,
  ) {}

  /** Makes it; all or nothing. */
  static async make(parts: TenantHostParts): Promise<TenantHost> {
    const { tenantId, holders, gate, helper } = parts;
    const uplink = await gate.take();
    let holder: Holder | undefined;
    try {
      holder = await holders.start(tenantId, uplink);
      await helper.rules(holder.identity, hostRules([]));
      await gate.connect(uplink, holder.identity);
      await holders.write(tenantId, holder);
      return new TenantHost(parts, holder, await gate.mtu());
    } catch (error) {
      if (holder !== undefined) await holders.stop(holder);
      await gate.disconnect(uplink);
      throw error;
    }
  }

  /** Takes one up that a worker before has made. @param elements what its rules are to hold; @param links of containers that are to stay */
  static async adopt(parts: TenantHostParts, holder: Holder, { bridges, links, elements }: { bridges: readonly BridgeNetwork[]; links: ReadonlySet<string>; elements: readonly RuleElement[] }): Promise<TenantHost> {
    const host = new TenantHost(parts, holder, await parts.gate.mtu());
    const there = await linksOf(holder.identity.pid);
    const known = new Map(bridges.map((bridge) => [bridge.link, bridge]));
    const stray = there.filter((name) => (name.startsWith('veth') && !links.has(name)) || (name.startsWith('br-') && !known.has(name)));
    const found = there.flatMap((name) => known.get(name) ?? []);
    // At once: what is attached goes on without a gap.
    await parts.helper.rules(holder.identity, hostRules([...found.flatMap(elementsOf), ...elements]));
    await parts.helper.apply([host.spaceLine(), ...stray.map((name) => `delete host ${name}`)]);
    for (const bridge of found) host.#bridges.set(bridge.link, Promise.resolve());
    return host;
  }

  get path(): string {
    return `/proc/${this.holder.identity.pid}/ns/net`;
  }

  spaceLine(): string {
    return spaceLine('host', this.holder.identity);
  }

  isLocal(address: Ipv4, bridges: readonly BridgeNetwork[]): boolean {
    return address === this.holder.uplink.tenantAddress || bridges.some(({ gateway }) => gateway === address);
  }

  /** @returns whether it was made by this call */
  async ensureBridge(bridge: BridgeNetwork): Promise<boolean> {
    const { link } = bridge;
    const known = this.#bridges.get(link);
    if (known !== undefined) {
      await known;
      return false;
    }
    const made = this.#makeBridge(bridge);
    this.#bridges.set(link, made);
    try {
      await made;
      return true;
    } catch (error) {
      this.#bridges.delete(link);
      throw error;
    }
  }

  /** The gateways of what bridges there are. */
  gateways(bridges: readonly BridgeNetwork[]): Ipv4[] {
    return bridges.filter(({ link }) => this.#bridges.has(link)).map(({ gateway }) => gateway);
  }

  /** Of a network without endpoints. Idempotent. */
  async removeBridge(network: Network): Promise<void> {
    const link = bridgeLinkOf(network);
    if (!this.#bridges.delete(link)) return;
    await this.parts.helper.apply([this.spaceLine(), `delete host ${link}`, ...removeElements('host', HOST_TABLE, elementsOf({ link, network }))]);
  }

  async #makeBridge(bridge: BridgeNetwork): Promise<void> {
    const { link, gateway, subnet } = bridge;
    await this.parts.helper.apply([
      this.spaceLine(),
      `delete host ${link}`,
      `bridge host ${link} ${macOf(gateway)} ${this.mtu}`,
      `sysctl host ipv4/conf/${link}/route_localnet 1`,
      ...addElements('host', HOST_TABLE, elementsOf(bridge)),
      `address host ${link} ${gatewayText(bridge)} ${subnet.prefix}`,
      `up host ${link}`,
    ]);
  }

  /** With everything in it. */
  async drop(): Promise<void> {
    const { holders, gate } = this.parts;
    await holders.stop(this.holder);
    await gate.disconnect(this.holder.uplink);
  }
}

function elementsOf({ link, network }: Pick<BridgeNetwork, 'link' | 'network'>): RuleElement[] {
  return [bridgeElement(link), ...(network.internal ? [internalElement(link)] : [])];
}

/** Names of the links in a process's name space (proc_pid_net(5), "dev"). */
async function linksOf(pid: number): Promise<string[]> {
  try {
    const lines = (await readFile(`/proc/${pid}/net/dev`, 'latin1')).split('\n');
    return lines.flatMap((line) => /^\s*([^:\s]+):/.exec(line)?.[1] ?? []);
  } catch (error) {
    if (errnoOf(error) === 'ENOENT' || errnoOf(error) === 'EINVAL') return [];
    throw error;
  }
}
