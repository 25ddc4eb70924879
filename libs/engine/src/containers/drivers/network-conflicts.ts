import { CodedError } from '#kernel';
import type { ContainerNetworking, CreateContainer } from '../containers.js';
import type { NetworkKind } from './network-mode.js';
import { checkEndpoint, checkExtraHost, checkPort, checkResolver, parseLink } from './network-words.js';

const MAX = { ports: 2048, endpoints: 64, links: 64, extraHosts: 512, 'dns entries': 64 } as const;

/** What a client may ask of the network, and what of it goes together. @throws CodedError `invalid_argument` in Docker's words */
export function checkNetworking(request: CreateContainer, asked: ContainerNetworking, kind: NetworkKind): void {
  checkSizes(asked);
  asked.ports.forEach(checkPort);
  asked.endpoints.forEach(checkEndpoint);
  asked.links.forEach(parseLink);
  asked.extraHosts.forEach(checkExtraHost);
  checkResolver(asked.dns);
  if (kind === 'container') refuseShared(request, asked);
  if (kind === 'host') refuseHost(asked);
}

function checkSizes({ ports, endpoints, links, extraHosts, dns }: ContainerNetworking): void {
  const sizes = { ports, endpoints, links, extraHosts, 'dns entries': [...dns.servers, ...dns.search, ...dns.options] };
  for (const [what, list] of Object.entries(sizes)) {
    const limit = MAX[what as keyof typeof MAX];
    if (list.length > limit) throw new CodedError('invalid_argument', `more than ${limit} ${what}`);
  }
}

/** Who shares another's network has its name, its files and its ports. */
function refuseShared(request: CreateContainer, { ports, publishAll, links, dns, extraHosts, endpoints }: ContainerNetworking): void {
  const given: readonly [boolean, string][] = [
    [request.hostname !== undefined && request.hostname !== '', 'hostname and the network mode'],
    [links.length > 0, "container type network can't be used with links. This would result in undefined behavior"],
    [dns.servers.length + dns.search.length + dns.options.length > 0, 'dns and the network mode'],
    [extraHosts.length > 0, 'custom host-to-IP mapping and the network mode'],
    [endpoints.some(({ macAddress }) => macAddress !== undefined), 'mac-address and the network mode'],
    [ports.length > 0 || publishAll, 'port publishing and the container type network mode'],
    [(request.exposedPorts ?? []).length > 0, 'port exposing and the container type network mode'],
  ];
  for (const [is, words] of given) if (is) throw new CodedError('invalid_argument', `conflicting options: ${words}`);
}

function refuseHost({ links, endpoints }: ContainerNetworking): void {
  if (links.length > 0) throw new CodedError('invalid_argument', "conflicting options: host type networking can't be used with links. This would result in undefined behavior");
  if (endpoints.some(({ macAddress }) => macAddress !== undefined)) throw new CodedError('invalid_argument', 'conflicting options: mac-address and the network mode');
}

/** What is asked for and comes to nothing. */
export function networkWarnings(asked: ContainerNetworking | undefined): string[] {
  return asked?.mode === 'host' && (asked.ports.length > 0 || asked.publishAll) ? ['Published ports are discarded when using host network mode'] : [];
}
