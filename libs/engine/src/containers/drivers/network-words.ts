import { isIP, isIPv4 } from 'node:net';
import { CodedError } from '#kernel';
import type { EndpointRequest, PortRequest } from '../../networks/index.js';
import type { ContainerNetworking } from '../containers.js';

/** What these go into are lines of text files and names of a resolver: nothing but what such a thing is made of passes. */
const HOST_NAME = /^[a-zA-Z0-9_](?:[a-zA-Z0-9_.-]{0,253}[a-zA-Z0-9_])?$/;
const WORD = /^[^\s#;]{1,255}$/;
const MAC = /^(?:[0-9a-fA-F]{2}[:-]){5}[0-9a-fA-F]{2}$/;
const EXPOSED = /^(\d{1,5})(?:\/(tcp|udp|sctp))?$/i;
/** Of the tenant's host, as a container reaches it. */
export const HOST_GATEWAY = 'host-gateway';

const invalid = (message: string): CodedError => new CodedError('invalid_argument', message);
const cut = (text: string): string => JSON.stringify(text.slice(0, 200));

/** `container:alias`, or the name alone. */
export function parseLink(text: string): { readonly name: string; readonly alias: string } {
  if (text === '') throw invalid('empty string specified for links');
  const [name = '', alias = name, ...more] = text.split(':');
  if (more.length > 0 || name === '') throw invalid(`invalid format for links: ${text.slice(0, 200)}`);
  // A link that an inspect has told: `/db:/web/alias`.
  const bare = alias.slice(alias.lastIndexOf('/') + 1);
  if (!HOST_NAME.test(bare)) throw invalid(`invalid format for links: ${text.slice(0, 200)}`);
  return { name: name.replace(/^\//, ''), alias: bare };
}

export function checkPort({ containerPort, hostPort, hostIp }: PortRequest): void {
  if (!Number.isInteger(containerPort) || containerPort < 1 || containerPort > 65_535) throw invalid(`invalid port: ${containerPort}`);
  if (!Number.isInteger(hostPort) || hostPort < 0 || hostPort > 65_535) throw invalid(`invalid port: ${hostPort}`);
  if (hostIp !== '' && !isIPv4(hostIp)) throw invalid(`invalid IP address: ${hostIp.slice(0, 100)}`);
}

export function checkEndpoint({ network, aliases, ipv4Address, macAddress }: EndpointRequest): void {
  if (network === '' || network.length > 255) throw invalid('invalid network name');
  if (aliases.length > 64) throw invalid('more than 64 aliases');
  for (const alias of aliases) if (!HOST_NAME.test(alias)) throw invalid(`invalid alias: ${cut(alias)}`);
  if (ipv4Address !== undefined && !isIPv4(ipv4Address)) throw invalid(`invalid IPv4 address: ${ipv4Address.slice(0, 100)}`);
  if (macAddress !== undefined && !MAC.test(macAddress)) throw invalid(`invalid MAC address: address ${macAddress.slice(0, 100)}: invalid MAC address`);
}

/** `name:address`, where the address may hold colons. */
export function parseExtraHost(text: string): { readonly name: string; readonly address: string } {
  const colon = text.indexOf(':');
  if (colon < 1) throw invalid(`bad format for add-host: ${cut(text)}`);
  return { name: text.slice(0, colon), address: text.slice(colon + 1).replace(/^\[(.*)\]$/, '$1') };
}

export function checkExtraHost(text: string): void {
  const { name, address } = parseExtraHost(text);
  if (!HOST_NAME.test(name)) throw invalid(`bad format for add-host: ${cut(text)}`);
  if (address !== HOST_GATEWAY && isIP(address) === 0) throw invalid(`invalid IP address in add-host: ${cut(address)}`);
}

export function checkResolver({ servers, search, options }: ContainerNetworking['dns']): void {
  for (const server of servers) if (isIP(server) === 0) throw invalid(`bad nameserver address: ${server.slice(0, 100)}`);
  // `.` alone: no domain at all.
  for (const domain of search) if (domain !== '.' && !HOST_NAME.test(domain)) throw invalid(`${domain.slice(0, 100)} is not a valid domain`);
  for (const option of options) if (!WORD.test(option)) throw invalid(`invalid DNS option: ${cut(option)}`);
}

/** @throws CodedError `invalid_argument` */
export function checkDomainname(text: string): void {
  if (text !== '' && !HOST_NAME.test(text)) throw invalid(`invalid domainname: ${cut(text)}`);
}

export function isExposedPort(text: string): boolean {
  return EXPOSED.test(text);
}

/** `80`, `80/udp` → `80/udp`. @throws CodedError `invalid_argument` */
export function exposedPort(text: string): string {
  const [, number = '', protocol = 'tcp'] = EXPOSED.exec(text) ?? [];
  const port = Number(number);
  if (number === '' || port < 1 || port > 65_535) throw invalid(`invalid port: ${cut(text)}`);
  return `${port}/${protocol.toLowerCase()}`;
}
