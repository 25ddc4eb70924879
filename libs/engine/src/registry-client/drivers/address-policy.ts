import { BlockList, isIP } from 'node:net';
import type { RegistryPolicy } from '../registry-client.js';

/** IANA's special-purpose registries (RFC 6890): what no public registry can have, but machines around this one do. */
const BLOCKED_V4 = [
  '0.0.0.0/8', '10.0.0.0/8', '100.64.0.0/10', '127.0.0.0/8', '169.254.0.0/16', '172.16.0.0/12', '192.0.0.0/24', '192.0.2.0/24', '192.88.99.0/24',
  '192.168.0.0/16', '198.18.0.0/15', '198.51.100.0/24', '203.0.113.0/24', '224.0.0.0/4', '240.0.0.0/4',
];
/** Of IPv6 only global unicast is public (2000::/3), without what carries an IPv4 address inside (Teredo, 6to4) or is for documents. */
const BLOCKED_V6 = ['2001::/23', '2001:db8::/32', '2002::/16', '3fff::/20'];
const PUBLIC_V6 = '2000::/3';
/** NAT64 (RFC 6052): judged by the IPv4 address at its end. */
const NAT64 = '64:ff9b::/96';

const blocked = listOf([...BLOCKED_V4, ...BLOCKED_V6]);
const globalUnicast = listOf([PUBLIC_V6]);
const nat64 = listOf([NAT64]);

/** Whether an address may be dialled for a tenant: anything that is not an IP address may not. */
export function isPublicAddress(address: string): boolean {
  const family = isIP(address);
  if (family === 4) return !blocked.check(address, 'ipv4');
  if (family !== 6 || address.includes('%')) return false;
  if (nat64.check(address, 'ipv6')) return isPublicAddress(lastFourBytes(address));
  return globalUnicast.check(address, 'ipv6') && !blocked.check(address, 'ipv6');
}

/** Which hosts the operator trusts. An entry without a port stands for all ports. */
export class AddressPolicy {
  private readonly insecure: ReadonlySet<string>;
  private readonly privateHosts: ReadonlySet<string>;

  constructor(policy: RegistryPolicy) {
    this.insecure = new Set(policy.insecure.map((entry) => entry.toLowerCase()));
    this.privateHosts = new Set(policy.privateHosts.map((entry) => entry.toLowerCase()));
  }

  /** Plain HTTP, or a certificate of any kind. */
  isInsecure(url: URL): boolean {
    return names(url).some((name) => this.insecure.has(name));
  }

  allowsPrivate(url: URL): boolean {
    return names(url).some((name) => this.insecure.has(name) || this.privateHosts.has(name));
  }
}

function names(url: URL): string[] {
  const port = url.port === '' ? (url.protocol === 'http:' ? '80' : '443') : url.port;
  return [url.hostname.toLowerCase(), `${url.hostname.toLowerCase()}:${port}`];
}

function listOf(subnets: readonly string[]): BlockList {
  const list = new BlockList();
  for (const subnet of subnets) {
    const [address = '', prefix] = subnet.split('/');
    list.addSubnet(address, Number(prefix), isIP(address) === 4 ? 'ipv4' : 'ipv6');
  }
  return list;
}

function lastFourBytes(address: string): string {
  // The URL parser writes every IPv6 address in hexadecimal groups, the shortest way.
  const groups = new URL(`http://[${address}]/`).hostname.slice(1, -1).split('::');
  const tail = (groups.at(-1) ?? '').split(':').filter((group) => group !== '');
  return ['0', '0', ...tail]
    .slice(-2)
    .map((group) => Number.parseInt(group, 16))
    .flatMap((pair) => [pair >> 8, pair & 255])
    .join('.');
}
