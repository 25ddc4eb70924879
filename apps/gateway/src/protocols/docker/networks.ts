import { createHash } from 'node:crypto';
import type { DockerFilters } from './filters.js';
import { ZERO_TIME } from './times.js';

const DEFAULTS = [
  { name: 'bridge', driver: 'bridge' },
  { name: 'host', driver: 'host' },
  { name: 'none', driver: 'null' },
] as const;

/** The three that every Docker host has. Their ids are the tenant's own. */
export function defaultNetworks(tenantId: string): readonly DockerNetwork[] {
  return DEFAULTS.map(({ name, driver }) => ({
    Name: name,
    Id: createHash('sha256').update(`network:${tenantId}:${name}`).digest('hex'),
    Created: ZERO_TIME,
    Scope: 'local',
    Driver: driver,
    EnableIPv4: true,
    EnableIPv6: false,
    IPAM: { Driver: 'default', Options: null, Config: [] },
    Internal: false,
    Attachable: false,
    Ingress: false,
    ConfigFrom: { Network: '' },
    ConfigOnly: false,
    Containers: {},
    Options: {},
    Labels: {},
  }));
}

export interface DockerNetwork {
  readonly Name: string;
  readonly Id: string;
  readonly Driver: string;
  readonly Scope: string;
  readonly [member: string]: unknown;
}

export function acceptsNetwork(network: DockerNetwork, filters: DockerFilters): boolean {
  return (
    filters.matches('name', network.Name) &&
    filters.prefix('id', network.Id) &&
    filters.exact('driver', network.Driver) &&
    filters.exact('scope', network.Scope) &&
    filters.exact('type', 'builtin') &&
    filters.labels({}) &&
    (!filters.has('dangling') || !filters.flag('dangling', false))
  );
}
