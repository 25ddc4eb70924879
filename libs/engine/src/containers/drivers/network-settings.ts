import { isIPv4 } from 'node:net';
import type { AttachRequest, Attachment, Endpoint, EndpointRequest, Network } from '../../networks/index.js';
import type { ContainerNetworking } from '../containers.js';
import { domainHostnameOf, hostnameOf, type ContainerRecord } from './container-record.js';
import type { HostsEntry } from './hosts-file.js';
import type { ResolverText } from './network-files.js';
import { kindOf } from './network-mode.js';
import { portsOf, type PlannedEndpoint } from './network-plan.js';
import { HOST_GATEWAY, parseExtraHost } from './network-words.js';

const NOTHING: Omit<ContainerNetworking, 'mode' | 'endpoints' | 'links'> = { ports: [], publishAll: false, dns: { servers: [], search: [], options: [] }, extraHosts: [], egress: { kind: 'all' } };

/** Where a container is, as far as it is known. */
export interface Whereabouts {
  readonly endpoints: readonly Pick<Endpoint, 'ipv4Address'>[];
  readonly nameservers: readonly string[];
  /** Of the tenant's host; undefined: it is out of reach. */
  readonly gateway: string | undefined;
}

export const NOWHERE: Whereabouts = { endpoints: [], nameservers: [], gateway: undefined };

export function whereaboutsOf({ endpoints, nameservers }: Attachment): Whereabouts {
  return { endpoints, nameservers, gateway: endpoints[0]?.gateway };
}

/** In the tenant's host itself the resolver is where the default bridge has it. */
export function whereaboutsOfHost({ gateway }: Pick<Network, 'gateway'>): Whereabouts {
  return { endpoints: [], nameservers: gateway === undefined ? [] : [gateway], gateway };
}

export function attachRequest(record: ContainerRecord, pid: number): AttachRequest {
  const { id, name, request, effective, network, publishOnNode } = record;
  const asked = request.network ?? NOTHING;
  const own = Object.entries(request.sysctls ?? {}).filter(([key]) => key.startsWith('net.'));
  return {
    containerId: id,
    containerName: name,
    pid,
    endpoints: network.endpoints.map((endpoint) => endpointRequest(record, endpoint)),
    ports: portsOf(asked, effective.exposedPorts),
    publishOnNode: publishOnNode ?? false,
    egress: asked.egress,
    sysctls: Object.fromEntries(own),
  };
}

/** Its own host name is one of its names where names are resolved. */
export function endpointRequest({ id, request: { hostname = '' } }: ContainerRecord, { network, aliases, ipv4Address, macAddress }: PlannedEndpoint): EndpointRequest {
  const named = kindOf(network) === 'user' && hostname !== '' && !id.startsWith(hostname) && !aliases.includes(hostname);
  return { network, aliases: named ? [...aliases, hostname] : aliases, ...(ipv4Address === undefined ? {} : { ipv4Address }), ...(macAddress === undefined ? {} : { macAddress }) };
}

/** What its own name leads to: each of its addresses. */
export function ownEntries(record: ContainerRecord, endpoints: readonly Pick<Endpoint, 'ipv4Address'>[]): HostsEntry[] {
  const names = [...new Set([domainHostnameOf(record), hostnameOf(record)])];
  return endpoints.map(({ ipv4Address }) => ({ address: ipv4Address, names }));
}

/** `--add-host`. The tenant's host is where the first network's gateway is. */
export function wantedHosts({ request }: ContainerRecord, { gateway }: Whereabouts): HostsEntry[] {
  return (request.network?.extraHosts ?? []).flatMap((text) => {
    const { name, address } = parseExtraHost(text);
    const resolved = address === HOST_GATEWAY ? gateway : address;
    return resolved === undefined ? [] : [{ address: resolved, names: [name] }];
  });
}

/** Where names of containers are resolved our resolver comes first; on the default bridge the client's servers take its place. */
export function resolverOf({ request, network }: ContainerRecord, { nameservers: ours }: Whereabouts): ResolverText {
  const { dns } = request.network ?? NOTHING;
  const named = kindOf(network.mode) === 'user';
  const servers = named ? [...ours, ...dns.servers] : dns.servers.length > 0 ? dns.servers : ours;
  const dots = named && !dns.options.some((option) => option.startsWith('ndots:')) ? ['ndots:0'] : [];
  return { servers: servers.filter((server) => isIPv4(server) || !named), search: dns.search, options: [...dns.options, ...dots] };
}
