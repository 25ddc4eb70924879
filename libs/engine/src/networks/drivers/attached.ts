import type { ProcessIdentity } from '../../linux/index.js';
import { formatIpv4, type Ipv4 } from '../ipv4.js';
import type { Attachment, EgressPolicy, Endpoint } from '../networks.js';
import type { PortTarget } from '../rule-elements.js';
import { gatewayText, type BridgeNetwork, type Member } from './tenant-networks.js';

const MOST_NAMESERVERS = 3;
const SHORT_ID = 12;

export interface Place {
  readonly bridge: BridgeNetwork;
  readonly endpointId: string;
  readonly interfaceName: string;
  readonly hostLink: string;
  readonly macAddress: string;
  readonly address: Ipv4;
  readonly aliases: readonly string[];
  readonly member: Member;
}

export type BoundPort = Omit<PortTarget, 'address'>;

/** A container that is attached. */
export interface Attached {
  readonly containerId: string;
  containerName: string;
  readonly process: ProcessIdentity;
  readonly places: Place[];
  readonly ports: readonly BoundPort[];
  readonly publishOnNode: boolean;
  readonly egress: EgressPolicy;
  /** Addresses that answers have opened, and until when (milliseconds since the epoch). */
  readonly pins: Map<Ipv4, number>;
}

/** Where the default route goes and published ports lead to: the first network that has a way out. */
export function gatewayPlace({ places }: Pick<Attached, 'places'>): Place | undefined {
  return places.find(({ bridge }) => !bridge.network.internal);
}

export function portTargets(attached: Attached): PortTarget[] {
  const place = gatewayPlace(attached);
  return place === undefined ? [] : attached.ports.map((port) => ({ ...port, address: place.address }));
}

export function memberOf(owner: Pick<Attached, 'containerId' | 'containerName'>, bridge: BridgeNetwork, { address, aliases }: Pick<Place, 'address' | 'aliases'>): Member {
  return {
    address,
    owner,
    names: () => (bridge.network.dns ? [...new Set([owner.containerName, ...aliases, owner.containerId.slice(0, SHORT_ID)])] : []),
  };
}

export function endpointOf(place: Place): Endpoint {
  const { bridge, endpointId, interfaceName, macAddress, address, aliases, member } = place;
  return {
    networkId: bridge.network.id,
    networkName: bridge.network.name,
    endpointId,
    interfaceName,
    macAddress,
    ipv4Address: formatIpv4(address),
    prefixLength: bridge.subnet.prefix,
    gateway: gatewayText(bridge),
    aliases,
    dnsNames: member.names(),
  };
}

export function attachmentOf(attached: Attached): Attachment {
  const first = gatewayPlace(attached);
  const ordered = [...(first === undefined ? [] : [first]), ...attached.places.filter((place) => place !== first)];
  return {
    endpoints: attached.places.map(endpointOf),
    ports: attached.ports.map(({ containerPort, protocol, hostIp, hostPort }) => ({ containerPort, protocol, hostIp: hostIp === undefined ? '0.0.0.0' : formatIpv4(hostIp), hostPort })),
    nameservers: ordered.slice(0, MOST_NAMESERVERS).map(({ bridge }) => gatewayText(bridge)),
  };
}
