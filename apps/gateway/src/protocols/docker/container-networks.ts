import { isIP, isIPv4 } from 'node:net';
import { z } from 'zod';
import type { CreateContainerBody } from '#contracts';
import { goStruct, type CreateBody } from './container-config.js';
import { badParameter, unsupported } from './errors.js';
import { parseDocker } from './parse-docker.js';

type Networking = NonNullable<CreateContainerBody['network']>;
type Endpoint = Networking['endpoints'][number];
type Port = Networking['ports'][number];

const text = z.string().default('');
const texts = z.array(z.string()).nullable().default(null);
export const endpointSchema = goStruct({
  IPAMConfig: goStruct({ IPv4Address: text, IPv6Address: text, LinkLocalIPs: texts }).prefault({}),
  Links: texts,
  Aliases: texts,
  MacAddress: text,
  DriverOpts: z.record(z.string(), z.string()).default({}),
});
type EndpointConfig = z.output<typeof endpointSchema>;

const bindingsSchema = z.array(goStruct({ HostIp: text, HostPort: text })).nullable();

/** How a container is to stand in the network. Everything in a mode's own words; what goes together the node knows. @throws CodedError `invalid_argument`, `unsupported` */
export function networkingOf(body: CreateBody): Networking {
  const { HostConfig: host, NetworkingConfig: networking } = body;
  const mode = body.NetworkDisabled === true ? 'none' : host.NetworkMode === '' ? 'default' : host.NetworkMode;
  const configs = new Map(Object.entries(networking.EndpointsConfig).map(([name, config]) => [name, parseDocker(endpointSchema, config ?? {})]));
  if (body.MacAddress !== undefined && body.MacAddress !== '' && (configs.get(mode)?.MacAddress ?? '') === '') configs.set(mode, { ...(configs.get(mode) ?? parseDocker(endpointSchema, {})), MacAddress: body.MacAddress });
  return {
    mode,
    endpoints: [...configs].map(([network, config]): Endpoint => ({ network, ...endpointSettings(config) })).filter((endpoint) => saysMore(endpoint, mode)),
    ports: portsOf(host.PortBindings),
    publishAll: host.PublishAllPorts,
    // The CLI tells of links on a network of one's own with the network.
    links: [...(host.Links ?? []), ...[...configs.values()].flatMap(({ Links }) => Links ?? [])],
    dns: { servers: host.Dns ?? [], search: host.DnsSearch ?? [], options: host.DnsOptions ?? [] },
    extraHosts: host.ExtraHosts ?? [],
    egress: { kind: 'all' },
  };
}

/** @throws CodedError `unsupported` (IPv6) */
export function endpointSettings({ IPAMConfig: ipam, Aliases, MacAddress }: EndpointConfig): Omit<Endpoint, 'network'> {
  if (ipam.IPv6Address !== '' || (ipam.LinkLocalIPs ?? []).length > 0) throw unsupported('an IPv6 or link-local address');
  return { aliases: Aliases ?? [], ...(ipam.IPv4Address === '' ? {} : { ipv4Address: ipam.IPv4Address }), ...(MacAddress === '' ? {} : { macAddress: MacAddress }) };
}

/** `80/tcp`, sorted; what Docker's clients write without a protocol is tcp. */
export function exposedPortsOf({ ExposedPorts: exposed }: Pick<CreateBody, 'ExposedPorts'>): string[] {
  return Object.keys(exposed ?? {}).map((port) => portName(port)).sort();
}

/** A mode's own network, about which nothing is said, goes without saying. */
function saysMore({ network, aliases, ipv4Address, macAddress }: Endpoint, mode: string): boolean {
  return network !== mode || aliases.length > 0 || ipv4Address !== undefined || macAddress !== undefined;
}

function portsOf(bindings: Readonly<Record<string, unknown>>): Port[] {
  const ports = new Map<string, Port>();
  for (const [name, given] of Object.entries(bindings)) {
    const [number = '', protocol = ''] = portName(name).split('/');
    if (protocol === 'sctp') throw unsupported('publishing a port of SCTP');
    for (const { HostIp: hostIp, HostPort: hostPort } of parseDocker(bindingsSchema, given) ?? []) {
      const port: Port = { containerPort: Number(number), protocol: protocol as Port['protocol'], hostIp: hostAddress(hostIp), hostPort: hostPortOf(hostPort) };
      // Asked for on IPv4 and on IPv6 it is one of ours; a free one each time it is asked for.
      ports.set(port.hostPort === 0 ? `${ports.size}` : JSON.stringify(port), port);
    }
  }
  return [...ports.values()];
}

/** There is no IPv6: every address of it is every address. */
function hostAddress(given: string): string {
  if (given === '' || given === '::') return '';
  if (isIPv4(given)) return given;
  if (isIP(given) === 6) throw unsupported(`publishing a port on the address ${given}`);
  throw badParameter(`invalid IP address: ${given.slice(0, 100)}`);
}

function hostPortOf(given: string): number {
  if (given === '') return 0;
  if (/^\d{1,5}-\d{1,5}$/.test(given)) throw unsupported('a range of host ports for one port');
  const port = Number(given);
  if (!/^\d{1,5}$/.test(given) || port > 65_535) throw badParameter(`invalid port specification: "${given.slice(0, 100)}"`);
  return port;
}

function portName(given: string): string {
  const [, number = '', protocol = 'tcp'] = /^(\d{1,5})(?:\/(tcp|udp|sctp))?$/i.exec(given) ?? [];
  const port = Number(number);
  if (number === '' || port < 1 || port > 65_535) throw badParameter(`invalid port specification: "${given.slice(0, 100)}"`);
  return `${port}/${protocol.toLowerCase()}`;
}
