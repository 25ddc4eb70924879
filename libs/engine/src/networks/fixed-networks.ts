import { createHash } from 'node:crypto';
import { timeOfId, type TenantId } from '#kernel';
import type { Network } from './networks.js';
import { DEFAULT_BRIDGE, formatPlan } from './subnets.js';

export const FIXED_NAMES = ['bridge', 'host', 'none'] as const;
/** What Docker calls the bridge of the network `bridge`. */
export const DEFAULT_BRIDGE_LINK = 'docker0';

const DRIVERS = { bridge: 'bridge', host: 'host', none: 'null' } as const;
const BRIDGE_OPTIONS = {
  'com.docker.network.bridge.default_bridge': 'true',
  'com.docker.network.bridge.enable_icc': 'true',
  'com.docker.network.bridge.enable_ip_masquerade': 'true',
  'com.docker.network.bridge.host_binding_ipv4': '0.0.0.0',
  'com.docker.network.bridge.name': DEFAULT_BRIDGE_LINK,
};

/** The networks that every tenant has without making them, always with the same IDs. */
export function fixedNetworks(tenantId: TenantId): Network[] {
  return FIXED_NAMES.map((name) => ({
    id: createHash('sha256').update(`${tenantId}/${name}`).digest('hex'),
    name,
    tenantId,
    createdAt: timeOfId(tenantId),
    driver: DRIVERS[name],
    ...(name === 'bridge' ? formatPlan(DEFAULT_BRIDGE) : { subnet: undefined, gateway: undefined, ipRange: undefined }),
    internal: false,
    labels: {},
    options: name === 'bridge' ? BRIDGE_OPTIONS : {},
    dns: false,
  }));
}

export function bridgeLinkOf({ id, name }: Network): string {
  return name === 'bridge' ? DEFAULT_BRIDGE_LINK : `br-${id.slice(0, 12)}`;
}
