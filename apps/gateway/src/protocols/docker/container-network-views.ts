import { createHash } from 'node:crypto';
import type { ContainerView } from '#contracts';

type Endpoint = ContainerView['network']['endpoints'][number];

/** Docker's client and libraries read these top-level members of the default bridge alone. */
const DEFAULT_BRIDGE = 'bridge';

export function networkSettings(container: ContainerView): object {
  const { network } = container;
  const running = isRunning(container);
  const own = running && !network.mode.startsWith('container:');
  const sandboxId = own ? createHash('sha256').update(`network:${container.id}`).digest('hex') : '';
  const first = network.endpoints.find(({ networkName }) => networkName === DEFAULT_BRIDGE);
  return {
    Bridge: '',
    SandboxID: sandboxId,
    SandboxKey: own ? `/var/run/docker/netns/${network.mode === 'host' ? 'default' : sandboxId.slice(0, 12)}` : '',
    Ports: running && isBridged(container) ? portMap(container) : {},
    HairpinMode: false,
    LinkLocalIPv6Address: '',
    LinkLocalIPv6PrefixLen: 0,
    SecondaryIPAddresses: null,
    SecondaryIPv6Addresses: null,
    EndpointID: first?.endpointId ?? '',
    Gateway: first?.gateway ?? '',
    GlobalIPv6Address: '',
    GlobalIPv6PrefixLen: 0,
    IPAddress: first?.ipv4Address ?? '',
    IPPrefixLen: first?.prefixLength ?? 0,
    IPv6Gateway: '',
    MacAddress: first?.macAddress ?? '',
    Networks: networksOf(container),
  };
}

export function networksOf({ network }: ContainerView): object {
  return Object.fromEntries(network.endpoints.map((endpoint) => [endpoint.networkName, endpointView(endpoint)]));
}

/** What `docker ps` shows: published ports, then exposed ones that are not. */
export function portList(container: ContainerView): object[] {
  if (!isRunning(container) || !isBridged(container)) return [];
  const { network, effective } = container;
  const published = network.ports.map(({ hostIp, hostPort, containerPort, protocol }) => ({ IP: hostIp, PrivatePort: containerPort, PublicPort: hostPort, Type: protocol }));
  const known = new Set(network.ports.map(({ containerPort, protocol }) => `${containerPort}/${protocol}`));
  const others = effective.exposedPorts.filter((port) => !known.has(port)).map((port) => ({ PrivatePort: Number(port.split('/')[0]), Type: port.split('/')[1] ?? 'tcp' }));
  return [...published, ...others];
}

/** As the client wrote it, but of another container by its ID: that one may be renamed. */
export function networkMode({ network, request }: ContainerView): string {
  const asked = request.network?.mode ?? '';
  if (network.mode.startsWith('container:')) return network.mode;
  return asked === '' || asked === 'default' ? network.mode : asked;
}

function portMap({ network, effective }: ContainerView): Record<string, { HostIp: string; HostPort: string }[] | null> {
  const map: Record<string, { HostIp: string; HostPort: string }[] | null> = Object.fromEntries(effective.exposedPorts.map((port) => [port, null]));
  for (const { containerPort, protocol, hostIp, hostPort } of network.ports) {
    const key = `${containerPort}/${protocol}`;
    map[key] = [...(map[key] ?? []), { HostIp: hostIp, HostPort: String(hostPort) }];
  }
  return map;
}

function endpointView({ requested, networkId, endpointId, gateway, ipv4Address, prefixLength, macAddress, dnsNames }: Endpoint): object {
  return {
    IPAMConfig: requested.ipv4Address === '' ? null : { IPv4Address: requested.ipv4Address },
    Links: null,
    Aliases: requested.aliases.length === 0 ? null : requested.aliases,
    MacAddress: macAddress === '' ? requested.macAddress : macAddress,
    DriverOpts: null,
    GwPriority: 0,
    NetworkID: networkId,
    EndpointID: endpointId,
    Gateway: gateway,
    IPAddress: ipv4Address,
    IPPrefixLen: prefixLength,
    IPv6Gateway: '',
    GlobalIPv6Address: '',
    GlobalIPv6PrefixLen: 0,
    DNSNames: dnsNames.length === 0 ? null : dnsNames,
  };
}

function isRunning({ state }: ContainerView): boolean {
  return state.status === 'running' || state.status === 'paused';
}

function isBridged({ network: { mode } }: ContainerView): boolean {
  return mode !== 'host' && mode !== 'none' && !mode.startsWith('container:');
}
