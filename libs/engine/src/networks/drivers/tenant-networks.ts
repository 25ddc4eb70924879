import { randomBytes } from 'node:crypto';
import { CodedError, type TenantId } from '#kernel';
import { AddressPool } from '../address-pool.js';
import { bridgeLinkOf, FIXED_NAMES, fixedNetworks } from '../fixed-networks.js';
import { formatIpv4, parseIpv4, parseSubnet, type Ipv4, type Subnet } from '../ipv4.js';
import type { CreateNetwork, Network } from '../networks.js';
import { formatPlan, planAddresses } from '../subnets.js';

const MOST_NETWORKS = 64;
const MOST_RECORD_BYTES = 64 * 1024;
const NAME = /^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,127}$/;
const FULL_ID = /^[0-9a-f]{64}$/;

/** Who has an address on a network, as far as names go. */
export interface Member {
  readonly address: Ipv4;
  readonly owner: { readonly containerName: string };
  readonly names: () => readonly string[];
}

/** A network that has a bridge, and who has which of its addresses. */
export interface BridgeNetwork {
  readonly network: Network;
  readonly link: string;
  readonly subnet: Subnet;
  readonly gateway: Ipv4;
  readonly pool: AddressPool;
  /** Endpoints that there are or that are being made. */
  readonly members: Set<Member>;
}

/** The networks of one tenant, in memory. */
export class TenantNetworks {
  readonly #networks = new Map<string, Network>();
  readonly #bridges = new Map<string, BridgeNetwork>();

  constructor(
    private readonly tenantId: TenantId,
    own: readonly Network[],
  ) {
    for (const network of [...fixedNetworks(tenantId), ...own]) this.#add(network);
  }

  list(): Network[] {
    return [...this.#networks.values()];
  }

  bridges(): BridgeNetwork[] {
    return [...this.#bridges.values()];
  }

  /** @throws CodedError `not_found`, `invalid_argument` */
  get(text: string): Network {
    const byId = FULL_ID.test(text) ? this.#networks.get(text) : undefined;
    const found = byId ?? this.#named(text);
    if (found !== undefined) return found;
    const candidates = /^[0-9a-f]+$/.test(text) ? this.list().filter(({ id }) => id.startsWith(text)) : [];
    if (candidates.length > 1) throw new CodedError('invalid_argument', `network ${text} is ambiguous (${candidates.length} matches found based on ID prefix)`, { text });
    const [only] = candidates;
    if (only === undefined) throw new CodedError('not_found', `network ${text} not found`, { network: text });
    return only;
  }

  /** @throws CodedError as `get`; `invalid_argument` for a network that has no bridge */
  bridge(text: string): BridgeNetwork {
    const network = this.get(text);
    const bridge = this.#bridges.get(network.id);
    if (bridge === undefined) throw new CodedError('invalid_argument', `container cannot be connected to network ${network.name}`, { network: network.name });
    return bridge;
  }

  /** The network is there when this returns; it is the caller's to write it down. @throws CodedError as `Networks.create` */
  create(request: CreateNetwork, now: number): Network {
    const { name, driver = 'bridge', internal, labels, options } = request;
    if (!NAME.test(name)) throw new CodedError('invalid_argument', name.trim() === '' ? 'network name cannot be empty' : `invalid network name: ${name}: only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed`, { name: name.slice(0, 200) });
    if ((FIXED_NAMES as readonly string[]).includes(name)) throw new CodedError('permission_denied', `operation is not permitted on predefined ${name} network`, { name });
    if (driver !== '' && driver !== 'bridge') throw refusedDriver(driver);
    if (this.#named(name) !== undefined) throw new CodedError('conflict', `network with name ${name} already exists`, { name });
    if (this.#networks.size >= MOST_NETWORKS + FIXED_NAMES.length) throw new CodedError('resource_exhausted', `a tenant has at most ${MOST_NETWORKS} networks`, { most: MOST_NETWORKS });
    if (Buffer.byteLength(JSON.stringify({ labels, options })) > MOST_RECORD_BYTES) throw new CodedError('payload_too_large', 'labels and options of a network beyond 64 KiB', { name });
    const plan = planAddresses(request, this.bridges().map(({ subnet }) => subnet));
    const network: Network = {
      id: randomBytes(32).toString('hex'),
      name,
      tenantId: this.tenantId,
      createdAt: now,
      driver: 'bridge',
      ...formatPlan(plan),
      internal,
      labels: { ...labels },
      options: { ...options },
      dns: true,
    };
    this.#add(network);
    return network;
  }

  /** @throws CodedError as `Networks.remove` */
  remove(text: string): Network {
    const network = this.get(text);
    if ((FIXED_NAMES as readonly string[]).includes(network.name)) throw new CodedError('permission_denied', `${network.name} is a pre-defined network and cannot be removed`, { network: network.name });
    if ((this.#bridges.get(network.id)?.members.size ?? 0) > 0) {
      throw new CodedError('conflict', `error while removing network: network ${network.name} id ${network.id} has active endpoints`, { network: network.name });
    }
    this.#networks.delete(network.id);
    this.#bridges.delete(network.id);
    return network;
  }

  /** One that could not be removed after all. */
  restore(network: Network): void {
    this.#add(network);
  }

  #named(name: string): Network | undefined {
    for (const network of this.#networks.values()) if (network.name === name) return network;
    return undefined;
  }

  #add(network: Network): void {
    this.#networks.set(network.id, network);
    const subnet = parseSubnet(network.subnet ?? '');
    const gateway = parseIpv4(network.gateway ?? '');
    if (subnet === undefined || gateway === undefined) return;
    const pool = new AddressPool(subnet, parseSubnet(network.ipRange ?? '') ?? subnet, gateway);
    this.#bridges.set(network.id, { network, link: bridgeLinkOf(network), subnet, gateway, pool, members: new Set() });
  }
}

function refusedDriver(driver: string): CodedError {
  if (driver === 'host' || driver === 'null') return new CodedError('permission_denied', `only one instance of "${driver}" network is allowed`, { driver });
  const name = driver.slice(0, 100);
  return new CodedError('invalid_argument', `could not find plugin ${name} in v2 plugin registry: plugin "${name}" not found`, { driver: name });
}

export function gatewayText(bridge: BridgeNetwork): string {
  return formatIpv4(bridge.gateway);
}
