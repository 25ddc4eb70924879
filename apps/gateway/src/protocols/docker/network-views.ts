import type { NetworkView } from '#contracts';
import type { DockerFilters } from './filters.js';
import { badParameter } from './errors.js';
import { rfc3339Nano } from './times.js';

export const NETWORK_FILTERS = ['dangling', 'driver', 'id', 'label', 'label!', 'name', 'scope', 'type'] as const;
const PREDEFINED = new Set(['bridge', 'host', 'none']);
const TYPES = new Set(['builtin', 'custom']);
/** What Docker's default bridge says of itself. */
const DEFAULT_BRIDGE = {
  'com.docker.network.bridge.default_bridge': 'true',
  'com.docker.network.bridge.enable_icc': 'true',
  'com.docker.network.bridge.enable_ip_masquerade': 'true',
  'com.docker.network.bridge.host_binding_ipv4': '0.0.0.0',
  'com.docker.network.bridge.name': 'docker0',
  'com.docker.network.driver.mtu': '1500',
} as const;

export function toNetwork(network: NetworkView): object {
  const { subnet, gateway, ipRange } = network;
  return {
    Name: network.name,
    Id: network.id,
    Created: rfc3339Nano(network.createdAt),
    Scope: 'local',
    Driver: network.driver,
    EnableIPv4: true,
    EnableIPv6: false,
    IPAM: {
      Driver: 'default',
      Options: PREDEFINED.has(network.name) ? null : {},
      Config: subnet === null ? [] : [{ Subnet: subnet, ...(ipRange === null ? {} : { IPRange: ipRange }), ...(gateway === null ? {} : { Gateway: gateway }) }],
    },
    Internal: network.internal,
    Attachable: false,
    Ingress: false,
    ConfigFrom: { Network: '' },
    ConfigOnly: false,
    Containers: Object.fromEntries(
      network.containers.map(({ id, name, endpointId, macAddress, ipv4Address, prefixLength }) => [
        id,
        { Name: name, EndpointID: endpointId, MacAddress: macAddress, IPv4Address: ipv4Address === '' ? '' : `${ipv4Address}/${prefixLength}`, IPv6Address: '' },
      ]),
    ),
    Options: network.name === 'bridge' ? { ...DEFAULT_BRIDGE, ...network.options } : network.options,
    Labels: network.labels,
  };
}

/** @throws CodedError `invalid_argument` */
export function acceptsNetwork(network: NetworkView, filters: DockerFilters): boolean {
  for (const type of filters.get('type')) if (!TYPES.has(type)) throw badParameter(`invalid filter: 'type'='${type.slice(0, 100)}'`);
  const predefined = PREDEFINED.has(network.name);
  return (
    filters.matches('name', network.name) &&
    filters.prefix('id', network.id) &&
    filters.exact('driver', network.driver) &&
    filters.exact('scope', 'local') &&
    filters.exact('type', predefined ? 'builtin' : 'custom') &&
    filters.labels(network.labels) &&
    (!filters.has('dangling') || filters.flag('dangling', false) === (!predefined && network.containers.length === 0))
  );
}
