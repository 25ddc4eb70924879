import { CodedError, isCodedError, type TenantId } from '#kernel';
import type { EndpointRequest, Network, Networks, PortRequest } from '../../networks/index.js';
import type { ContainerNetworking, CreateContainer } from '../containers.js';
import { CONTAINER, kindOf } from './network-mode.js';
import { checkNetworking } from './network-conflicts.js';
import { parseLink } from './network-words.js';

/** How a container is to stand in the network, as it is kept: networks by name, containers by ID. */
export interface PlannedNetwork {
  /** `bridge`, `none`, `host`, `container:<ID or what the client wrote>`, or the name of a network. */
  readonly mode: string;
  /** The mode's network first; none for `container:…`. */
  readonly endpoints: readonly PlannedEndpoint[];
  readonly links: readonly PlannedLink[];
}

export interface PlannedEndpoint extends EndpointRequest {
  /** '' when there is no such network yet: it is looked for at each start. */
  readonly networkId: string;
}

export interface PlannedLink {
  readonly containerId: string;
  readonly alias: string;
}

export const NO_NETWORK: PlannedNetwork = { mode: 'none', endpoints: [], links: [] };

export interface NetworkPlanParts {
  readonly tenantId: TenantId;
  readonly networks: Pick<Networks, 'get'>;
  /** The container a text names, and the network mode of it. @throws CodedError `not_found` */
  readonly container: (text: string) => { readonly id: string; readonly mode: string };
}

/** @throws CodedError `invalid_argument` in Docker's words for what does not go together */
export async function planNetwork(request: CreateContainer, parts: NetworkPlanParts): Promise<PlannedNetwork> {
  const asked = request.network;
  if (asked === undefined) return { ...NO_NETWORK, endpoints: await endpointsOf('none', [], parts) };
  const mode = await modeOf(asked.mode, parts);
  checkNetworking(request, asked, kindOf(mode));
  const links = asked.links.map((text) => linkOf(text, parts));
  return { mode, endpoints: await endpointsOf(mode, asked.endpoints, parts), links };
}

/** Exposed ports are published as well when all are to be. */
export function portsOf({ ports, publishAll }: Pick<ContainerNetworking, 'ports' | 'publishAll'>, exposed: readonly string[]): PortRequest[] {
  if (!publishAll) return [...ports];
  const published = new Set(ports.map(({ containerPort, protocol }) => `${containerPort}/${protocol}`));
  const others = exposed.filter((port) => !published.has(port)).flatMap((port): PortRequest[] => {
    const [number = '', protocol = 'tcp'] = port.split('/');
    return protocol === 'tcp' || protocol === 'udp' ? [{ containerPort: Number(number), protocol, hostIp: '', hostPort: 0 }] : [];
  });
  return [...ports, ...others];
}

/** Undefined when there is none. @throws CodedError `invalid_argument` (ambiguous) */
export async function findNetwork({ networks, tenantId }: Pick<NetworkPlanParts, 'networks' | 'tenantId'>, text: string): Promise<Network | undefined> {
  try {
    return await networks.get(tenantId, text);
  } catch (error) {
    if (isCodedError(error, 'not_found')) return undefined;
    throw error;
  }
}

async function modeOf(text: string, parts: NetworkPlanParts): Promise<string> {
  if (text === '' || text === 'default') return 'bridge';
  if (text.startsWith(CONTAINER)) return `${CONTAINER}${containerIdOf(text.slice(CONTAINER.length), parts)}`;
  // What is not there yet may be at the start.
  return (await findNetwork(parts, text))?.name ?? text;
}

/** A name that names none is kept: who starts it is told. */
function containerIdOf(text: string, { container }: NetworkPlanParts): string {
  if (text === '') throw new CodedError('invalid_argument', 'invalid network mode: invalid container format container:<name|id>');
  try {
    return container(text).id;
  } catch (error) {
    if (isCodedError(error, 'not_found')) return text;
    throw error;
  }
}

async function endpointsOf(mode: string, asked: readonly EndpointRequest[], parts: NetworkPlanParts): Promise<PlannedEndpoint[]> {
  if (kindOf(mode) === 'container') return [];
  const planned = new Map<string, PlannedEndpoint>([[mode, await planEndpoint({ network: mode, aliases: [] }, parts)]]);
  for (const endpoint of asked) {
    const one = await planEndpoint({ ...endpoint, network: endpoint.network === 'default' ? mode : endpoint.network }, parts);
    planned.set(one.network, one);
  }
  if (planned.size > 1 && (kindOf(mode) === 'none' || kindOf(mode) === 'host')) throw new CodedError('invalid_argument', 'conflicting options: cannot attach both user-defined and non-user-defined network-modes');
  return [...planned.values()];
}

export async function planEndpoint(endpoint: EndpointRequest, parts: Pick<NetworkPlanParts, 'networks' | 'tenantId'>): Promise<PlannedEndpoint> {
  const network = await findNetwork(parts, endpoint.network);
  if (network?.name === 'bridge') refuseOnDefault(endpoint);
  return { ...endpoint, network: network?.name ?? endpoint.network, networkId: network?.id ?? '' };
}

/** The default bridge gives neither names nor addresses that are asked for. */
function refuseOnDefault({ aliases, ipv4Address }: EndpointRequest): void {
  const faults = [
    ...(ipv4Address === undefined ? [] : ['user specified IP address is supported on user defined networks only']),
    ...(aliases.length === 0 ? [] : ['network-scoped aliases are only supported for user-defined networks']),
  ];
  if (faults.length > 0) throw new CodedError('invalid_argument', `invalid config for network bridge: invalid endpoint settings:\n${faults.join('\n')}`);
}

function linkOf(text: string, { container }: NetworkPlanParts): PlannedLink {
  const { name, alias } = parseLink(text);
  try {
    const { id, mode } = container(name);
    if (kindOf(mode) === 'host') throw new CodedError('invalid_argument', "conflicting options: host type networking can't be used with links. This would result in undefined behavior");
    return { containerId: id, alias };
  } catch (error) {
    if (!isCodedError(error, 'not_found')) throw error;
    throw new CodedError('invalid_argument', `could not get container for ${name.slice(0, 200)}: ${error.message}`, {}, { cause: error });
  }
}
