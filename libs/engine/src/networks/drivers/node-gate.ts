import { readFile } from 'node:fs/promises';
import { CodedError, type Logger } from '#kernel';
import type { ProcessIdentity } from '../../linux/index.js';
import { UPLINK } from '../host-rules.js';
import { formatIpv4, holds, overlap, sizeOf, subnetsOf, type Ipv4, type Subnet } from '../ipv4.js';
import { macOf, spaceLine, type NetHelper } from '../net-helper.js';
import { LINK_PREFIX, nodeNames, nodeRules, type NodeNames } from '../node-rules.js';
import { outgoingInterfaces, readNodeRoutes } from '../node-routes.js';
import { addElements, removeElements, uplinkElement } from '../rule-elements.js';
import { NodeForwarding } from './node-forwarding.js';

/** Where the addresses of uplinks may come from: ranges that no public host has; the first without a route of the node's own. */
const UPLINK_POOLS = subnetsOf('100.96.0.0/12', '198.18.0.0/15', '10.213.0.0/16', '172.31.0.0/16');
const MOST_UPLINKS = 16_384;
const DEFAULT_MTU = 1500;
const SMALLEST_MTU = 576;

/** One tenant's way out: a pair of links between the node's own name space and the tenant's host name space. */
export interface Uplink {
  readonly index: number;
  readonly link: string;
  readonly nodeAddress: Ipv4;
  readonly tenantAddress: Ipv4;
}

export interface NodeGateOptions {
  /** Tells this instance from others on the machine. */
  readonly instance: string;
  readonly helper: NetHelper;
  readonly allowed: readonly Subnet[];
  readonly logger: Logger;
}

/** What is ours in the node's own name space: uplinks, one table of rules, and forwarding between uplinks and the way out. */
export class NodeGate {
  readonly #options: NodeGateOptions;
  readonly #names: NodeNames;
  #pool: Subnet | undefined;
  #rules = '';
  #outgoing: string[] = [];
  readonly #taken = new Set<number>();
  /** Those whose element is, or is being put, in the table. */
  readonly #connected = new Map<number, Uplink>();
  readonly #forwarding: NodeForwarding;

  constructor(options: NodeGateOptions) {
    this.#options = options;
    this.#forwarding = new NodeForwarding(options.helper, options.logger);
    this.#names = nodeNames(options.instance);
  }

  /** Of what leads out: what is larger would be cut or lost on the way. */
  async mtu(): Promise<number> {
    const sizes = await Promise.all(this.#outgoing.map(async (name) => Number(await readFile(`/sys/class/net/${name}/mtu`, 'latin1').catch(() => DEFAULT_MTU))));
    return Math.max(SMALLEST_MTU, Math.min(DEFAULT_MTU, ...sizes));
  }

  /** @param uplinks those that are there */
  async recover(uplinks: readonly Uplink[]): Promise<void> {
    this.#pool = uplinks.length === 0 ? undefined : UPLINK_POOLS.find((pool) => uplinks.every(({ nodeAddress }) => holds(pool, nodeAddress)));
    for (const uplink of uplinks) {
      this.#taken.add(uplink.index);
      this.#connected.set(uplink.index, uplink);
    }
    if (uplinks.length > 0) await this.open();
  }

  /** Idempotent, and cheap when nothing of the node's routes has changed. One call at a time. */
  async open(): Promise<void> {
    const routes = (await readNodeRoutes()).filter(({ interfaceName }) => !interfaceName.startsWith(LINK_PREFIX));
    const specific = routes.filter(({ destination }) => destination.prefix > 0);
    this.#pool ??= UPLINK_POOLS.find((pool) => !specific.some(({ destination }) => overlap(destination, pool)));
    if (this.#pool === undefined) throw new CodedError('failed_precondition', 'the routes of this node leave no range for uplinks', {});
    this.#outgoing = outgoingInterfaces(routes, this.#options.allowed);
    // The rules come before what they guard.
    await this.#write([...new Set([...(await this.#forwarding.guarded()), ...(await this.#forwarding.missing(this.#outgoing))])]);
    await this.#forwarding.ensure(this.#outgoing);
  }

  /** @throws CodedError `resource_exhausted` */
  async take(): Promise<Uplink> {
    const theirs = (await readNodeRoutes()).filter(({ interfaceName }) => interfaceName.startsWith(LINK_PREFIX));
    for (let index = 0; index < MOST_UPLINKS; index += 1) {
      if (this.#taken.has(index)) continue;
      const uplink = this.#uplink(index);
      // Another instance on this machine.
      if (theirs.some(({ interfaceName, destination }) => interfaceName !== uplink.link && holds(destination, uplink.nodeAddress))) continue;
      this.#taken.add(index);
      return uplink;
    }
    throw new CodedError('resource_exhausted', 'no uplink is left on this node', { uplinks: MOST_UPLINKS });
  }

  async connect(uplink: Uplink, host: ProcessIdentity): Promise<void> {
    const { index, link, nodeAddress, tenantAddress } = uplink;
    this.#connected.set(index, uplink);
    await this.#options.helper.apply([
      spaceLine('host', host),
      `delete here ${link}`,
      `veth here ${link} ${macOf(nodeAddress)} ${await this.mtu()} host ${UPLINK} ${macOf(tenantAddress)}`,
      `sysctl? here ipv6/conf/${link}/disable_ipv6 1`,
      ...['forwarding 1', 'rp_filter 1', 'accept_redirects 0', 'send_redirects 0', 'accept_source_route 0', 'arp_ignore 1', 'proxy_arp 0', 'route_localnet 0'].map((text) => `sysctl here ipv4/conf/${link}/${text}`),
      `address here ${link} ${formatIpv4(nodeAddress)} 31`,
      `address host ${UPLINK} ${formatIpv4(tenantAddress)} 31`,
      `up here ${link}`,
      `up host ${UPLINK}`,
      `route host 0.0.0.0 0 ${formatIpv4(nodeAddress)} ${UPLINK}`,
      ...addElements('here', this.#names.table, [uplinkElement(link, tenantAddress)]),
    ]);
  }

  /** Idempotent. The links go with the host name space too, but not at once. */
  async disconnect({ index, link, tenantAddress }: Uplink): Promise<void> {
    this.#connected.delete(index);
    await this.#options.helper.apply([`delete here ${link}`, ...(this.#rules === '' ? [] : removeElements('here', this.#names.table, [uplinkElement(link, tenantAddress)]))]);
    this.#taken.delete(index);
  }

  /** As the machine was before. */
  async close(): Promise<void> {
    const { table } = this.#names;
    await this.#options.helper.rules(undefined, `add table inet ${table}\ndelete table inet ${table}\n`);
    this.#rules = '';
    await this.#forwarding.release();
  }

  async #write(guarded: readonly string[]): Promise<void> {
    const { table, linkPrefix } = this.#names;
    const content = { table, linkPrefix, outgoing: this.#outgoing, guarded, allowed: this.#options.allowed };
    const rules = nodeRules(content, []);
    if (rules === this.#rules) return;
    const elements = [...this.#connected.values()].map(({ link, tenantAddress }) => uplinkElement(link, tenantAddress));
    await this.#options.helper.rules(undefined, nodeRules(content, elements));
    this.#rules = rules;
  }

  #uplink(index: number): Uplink {
    if (this.#pool === undefined) throw new CodedError('failed_precondition', 'recover() was not awaited');
    const pairs = sizeOf(this.#pool) / 2;
    const nodeAddress = this.#pool.base + 2 * ((this.#names.firstPair + index) % pairs);
    return { index, link: `${this.#names.linkPrefix}${index}`, nodeAddress, tenantAddress: nodeAddress + 1 };
  }
}
