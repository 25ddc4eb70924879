import { CodedError } from '#kernel';
import { formatIpv4, formatSubnet, holds, holdsAll, lastOf, overlap, parseIpv4, parseSubnet, subnetAround, subnetsOf, type Ipv4, type Subnet } from './ipv4.js';

export interface AddressPlan {
  readonly subnet: Subnet;
  readonly range: Subnet;
  readonly gateway: Ipv4;
}

export const DEFAULT_BRIDGE: AddressPlan = planOf({ base: parseIpv4('172.17.0.0') ?? 0, prefix: 16 });

/** Docker's default pools, in its order: what networks get that name no subnet. */
const POOLS: readonly Subnet[] = [
  ...Array.from({ length: 15 }, (_, index) => subnetsOf(`172.${17 + index}.0.0/16`)).flat(),
  ...Array.from({ length: 16 }, (_, index) => subnetsOf(`192.168.${16 * index}.0/20`)).flat(),
];

/** No bridge can have them: this host itself, loopback, link-local, multicast and what is reserved. */
const NEVER = subnetsOf('0.0.0.0/8', '127.0.0.0/8', '169.254.0.0/16', '224.0.0.0/4', '240.0.0.0/4');
const SHORTEST_PREFIX = 8;
const LONGEST_PREFIX = 30;

export interface WantedAddresses {
  readonly subnet?: string;
  readonly gateway?: string;
  readonly ipRange?: string;
}

/** @param taken subnets that others have. @throws CodedError `conflict`, `invalid_argument`, `resource_exhausted` */
export function planAddresses(wanted: WantedAddresses, taken: readonly Subnet[]): AddressPlan {
  const { subnet: text, gateway, ipRange } = wanted;
  if (text === undefined || text === '') {
    if ((gateway ?? '') !== '' || (ipRange ?? '') !== '') throw invalid('every ip-range or gateway must have a corresponding subnet', { ...wanted });
    return planOf(freeSubnet(taken));
  }
  const subnet = bridgeSubnet(text);
  if (taken.some((other) => overlap(other, subnet))) throw new CodedError('conflict', 'invalid pool request: Pool overlaps with other one on this address space', { subnet: text });
  const plan = planOf(subnet);
  const range = ipRange === undefined || ipRange === '' ? plan.range : rangeIn(subnet, ipRange);
  const chosen = gateway === undefined || gateway === '' ? gatewayOf(range, subnet) : parseIpv4(gateway);
  if (chosen === undefined || !holds(subnet, chosen) || chosen === subnet.base || chosen === lastOf(subnet)) throw invalid(`invalid gateway ${gateway ?? ''}: parent subnet is ${formatSubnet(subnet)}`, { ...wanted });
  return { subnet, range, gateway: chosen };
}

function planOf(subnet: Subnet): AddressPlan {
  return { subnet, range: subnet, gateway: gatewayOf(subnet, subnet) };
}

/** The first address that a host can have. */
function gatewayOf(range: Subnet, subnet: Subnet): Ipv4 {
  return range.base === subnet.base ? range.base + 1 : range.base;
}

function freeSubnet(taken: readonly Subnet[]): Subnet {
  const free = POOLS.find((pool) => !taken.some((other) => overlap(other, pool)));
  if (free === undefined) throw new CodedError('resource_exhausted', 'all predefined address pools have been fully subnetted', {});
  return free;
}

function bridgeSubnet(text: string): Subnet {
  const around = subnetAround(text);
  if (around === undefined) throw invalid(`invalid subnet ${text}: it must be an IPv4 network such as 10.1.0.0/16`, { subnet: text });
  const subnet = parseSubnet(text);
  if (subnet === undefined) throw invalid(`invalid network config:\ninvalid subnet ${text}: it should be ${formatSubnet(around)}`, { subnet: text });
  if (subnet.prefix < SHORTEST_PREFIX || subnet.prefix > LONGEST_PREFIX || NEVER.some((never) => overlap(never, subnet))) {
    throw invalid(`invalid subnet ${text}: no network can have these addresses`, { subnet: text });
  }
  return subnet;
}

function rangeIn(subnet: Subnet, text: string): Subnet {
  const range = parseSubnet(text);
  if (range === undefined || !holdsAll(subnet, range)) throw invalid(`invalid ip-range ${text}: parent subnet is ${formatSubnet(subnet)}`, { ipRange: text, subnet: formatSubnet(subnet) });
  return range;
}

function invalid(message: string, details: Readonly<Record<string, string | undefined>>): CodedError {
  return new CodedError('invalid_argument', message, Object.fromEntries(Object.entries(details).filter(([, value]) => value !== undefined)));
}

export function formatPlan({ subnet, range, gateway }: AddressPlan): { subnet: string; gateway: string; ipRange: string | undefined } {
  return { subnet: formatSubnet(subnet), gateway: formatIpv4(gateway), ipRange: range === subnet || formatSubnet(range) === formatSubnet(subnet) ? undefined : formatSubnet(range) };
}
