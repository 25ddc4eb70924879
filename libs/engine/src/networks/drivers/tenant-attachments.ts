import { randomBytes } from 'node:crypto';
import { CodedError } from '#kernel';
import type { ProcessIdentity } from '../../linux/index.js';
import type { AttachmentState } from '../attachment-state.js';
import { holds, parseIpv4, subnetsOf, type Ipv4 } from '../ipv4.js';
import { checkedPolicy } from '../egress-policy.js';
import { macOf } from '../net-helper.js';
import type { AttachRequest, EndpointRequest, PortRequest } from '../networks.js';
import { PortTable, type PortRange } from '../port-table.js';
import { type Attached, type BoundPort, gatewayPlace, memberOf, type Place } from './attached.js';
import type { BridgeNetwork, TenantNetworks } from './tenant-networks.js';

const MOST_ENDPOINTS = 32;
const MAC = /^([0-9a-f]{2}:){5}[0-9a-f]{2}$/;
const [LOOPBACK] = subnetsOf('127.0.0.0/8');

export interface HostFacts {
  /** Whether an address is one of the tenant's host. */
  readonly isLocal: (address: Ipv4) => boolean;
  /** What free ports are chosen from. */
  readonly dynamicPorts?: PortRange | undefined;
}

/** Who has which addresses, ports and names among a tenant's containers. In memory: what is reserved here is made by others. */
export class TenantAttachments {
  readonly #attached = new Map<string, Attached>();
  readonly #byAddress = new Map<Ipv4, Attached>();
  readonly #ports = new PortTable();

  constructor(private readonly networks: TenantNetworks) {}

  all(): Attached[] {
    return [...this.#attached.values()];
  }

  get(containerId: string): Attached | undefined {
    return this.#attached.get(containerId);
  }

  at(address: Ipv4): Attached | undefined {
    return this.#byAddress.get(address);
  }

  /** All or nothing. */
  reserve(request: AttachRequest, process: ProcessIdentity, { isLocal, dynamicPorts }: HostFacts): Attached {
    const { containerId, containerName, endpoints, ports, publishOnNode, egress } = request;
    if (endpoints.length === 0 || endpoints.length > MOST_ENDPOINTS) throw new CodedError('invalid_argument', `a container has 1 to ${MOST_ENDPOINTS} networks`, { endpoints: endpoints.length });
    const bound: BoundPort[] = [];
    const attached: Attached = { containerId, containerName, process, places: [], ports: bound, publishOnNode, egress: checkedPolicy(egress), pins: new Map() };
    try {
      for (const endpoint of endpoints) this.place(attached, endpoint);
      for (const port of gatewayPlace(attached) === undefined ? [] : ports) bound.push(this.#bind(port, { isLocal, dynamicPorts }));
    } catch (error) {
      const failure = failedProgramming(error, attached);
      this.release(attached);
      throw failure;
    }
    this.#attached.set(containerId, attached);
    return attached;
  }

  /** What was written down of a container that still runs. @throws CodedError `conflict` (it has what another has), `not_found` (its network is gone) */
  restore(state: AttachmentState): Attached {
    const bound: BoundPort[] = [];
    const { containerId, containerName, process, publishOnNode, egress } = state;
    const attached: Attached = { containerId, containerName, process, places: [], ports: bound, publishOnNode, egress, pins: new Map(state.pins) };
    try {
      for (const endpoint of state.endpoints) {
        const bridge = this.networks.bridge(endpoint.networkId);
        bridge.pool.claim(endpoint.address);
        this.#add(attached, { bridge, ...endpoint, member: memberOf(attached, bridge, endpoint) });
      }
      for (const { hostIp, ...port } of state.ports) {
        this.#ports.take(port.protocol, hostIp ?? undefined, port.hostPort);
        bound.push({ ...port, hostIp: hostIp ?? undefined });
      }
    } catch (error) {
      this.release(attached);
      throw error;
    }
    this.#attached.set(containerId, attached);
    return attached;
  }

  /** One more network. @throws CodedError as `Networks.connect` */
  place(attached: Attached, request: EndpointRequest): Place {
    const bridge = this.networks.bridge(request.network);
    const { containerName, places } = attached;
    if (places.some((place) => place.bridge === bridge)) throw new CodedError('permission_denied', `endpoint with name ${containerName} already exists in network ${bridge.network.name}`, { network: bridge.network.name });
    if (places.length >= MOST_ENDPOINTS) throw new CodedError('resource_exhausted', `a container has at most ${MOST_ENDPOINTS} networks`, {});
    const macAddress = chosenMac(request);
    const address = addressFrom(bridge, request);
    const aliases = [...new Set(request.aliases)];
    const place: Place = {
      bridge,
      endpointId: randomBytes(32).toString('hex'),
      interfaceName: freeInterface(places),
      hostLink: `veth${randomBytes(4).toString('hex').slice(0, 7)}`,
      macAddress: macAddress ?? macOf(address),
      address,
      aliases,
      member: memberOf(attached, bridge, { address, aliases }),
    };
    this.#add(attached, place);
    return place;
  }

  /** Its address is free again: nothing of it may be there any more. */
  unplace(attached: Attached, place: Place): void {
    const index = attached.places.indexOf(place);
    if (index < 0) return;
    attached.places.splice(index, 1);
    place.bridge.members.delete(place.member);
    place.bridge.pool.release(place.address);
    this.#byAddress.delete(place.address);
  }

  /** Idempotent. */
  release(attached: Attached): void {
    for (const place of [...attached.places]) this.unplace(attached, place);
    for (const { protocol, hostIp, hostPort } of attached.ports) this.#ports.release(protocol, hostIp, hostPort);
    if (this.#attached.get(attached.containerId) === attached) this.#attached.delete(attached.containerId);
  }

  #add(attached: Attached, place: Place): void {
    attached.places.push(place);
    place.bridge.members.add(place.member);
    this.#byAddress.set(place.address, attached);
  }

  #bind({ containerPort, protocol, hostIp, hostPort }: PortRequest, { isLocal, dynamicPorts }: HostFacts): BoundPort {
    for (const [port, lowest] of [[containerPort, 1], [hostPort, 0]] as const) if (!Number.isInteger(port) || port < lowest || port > 65_535) throw new CodedError('invalid_argument', `invalid port: ${port}`, { port });
    const any = hostIp === '' || hostIp === '0.0.0.0';
    const address = any ? undefined : parseIpv4(hostIp);
    if (!any && (address === undefined || !(isLocal(address) || (LOOPBACK !== undefined && holds(LOOPBACK, address))))) {
      throw new CodedError('conflict', `failed to bind host port for ${hostIp.slice(0, 64)}:${hostPort}: cannot assign requested address`, { hostIp: hostIp.slice(0, 64) });
    }
    return { containerPort, protocol, hostIp: address, hostPort: this.#ports.take(protocol, address, hostPort, dynamicPorts) };
  }
}

function addressFrom(bridge: BridgeNetwork, { ipv4Address = '' }: EndpointRequest): Ipv4 {
  if (ipv4Address === '') return bridge.pool.take();
  const address = parseIpv4(ipv4Address);
  if (address === undefined) throw new CodedError('invalid_argument', `invalid IPv4 address: ${ipv4Address.slice(0, 64)}`, {});
  bridge.pool.claim(address);
  return address;
}

/** undefined: one of its address, as Docker makes them; so an address that is given out again keeps its neighbours' tables right. */
function chosenMac({ macAddress = '' }: EndpointRequest): string | undefined {
  if (macAddress === '') return undefined;
  const text = macAddress.toLowerCase().replaceAll('-', ':');
  // The lowest bit of the first byte says that it is no single interface's.
  if (!MAC.test(text) || (Number.parseInt(text.slice(0, 2), 16) & 1) === 1 || text === '00:00:00:00:00:00') throw new CodedError('invalid_argument', `invalid MAC address: ${macAddress.slice(0, 64)}`, {});
  return text;
}

function freeInterface(places: readonly Place[]): string {
  let index = 0;
  while (places.some(({ interfaceName }) => interfaceName === `eth${index}`)) index += 1;
  return `eth${index}`;
}

export function failedProgramming(error: unknown, { containerName, places }: Attached): unknown {
  if (!(error instanceof CodedError) || error.code !== 'conflict' || error.details.port === undefined) return error;
  const [place] = places;
  return new CodedError('conflict', `driver failed programming external connectivity on endpoint ${containerName} (${place?.endpointId ?? ''}): ${error.message}`, error.details);
}
