import { CodedError } from '#kernel';
import { formatSubnet, holdsAll, subnetAround, type Subnet } from './ipv4.js';
import type { EgressPolicy } from './networks.js';

const MOST_CIDRS = 256;
const MOST_DOMAINS = 256;
const DOMAIN = /^(\*\.)?([A-Za-z0-9_-]{1,63}\.)*[A-Za-z0-9_-]{1,63}\.?$/;
const MOST_DOMAIN_BYTES = 253;

/** With each network once and none within another, as a set of ranges takes them. @throws CodedError `invalid_argument` */
export function checkedPolicy(policy: EgressPolicy): EgressPolicy {
  if (policy.kind !== 'allow') return policy;
  const { cidrs, domains } = policy;
  if (cidrs.length > MOST_CIDRS || domains.length > MOST_DOMAINS) throw new CodedError('invalid_argument', `a policy has at most ${MOST_CIDRS} networks and ${MOST_DOMAINS} domains`, {});
  const fault = domains.find((domain) => domain.length > MOST_DOMAIN_BYTES || !DOMAIN.test(domain));
  if (fault !== undefined) throw new CodedError('invalid_argument', `${fault.slice(0, 100)} is no domain such as example.org or *.example.org`, {});
  return { kind: 'allow', cidrs: widest(cidrs.map(networkOf)).map(formatSubnet), domains };
}

/** `10.0.0.0/8`, or a single address. */
function networkOf(text: string): Subnet {
  const network = subnetAround(text.includes('/') ? text : `${text}/32`);
  if (network === undefined) throw new CodedError('invalid_argument', `${text.slice(0, 100)} is no IPv4 network`, {});
  return network;
}

function widest(networks: readonly Subnet[]): Subnet[] {
  const kept: Subnet[] = [];
  for (const network of [...networks].sort((left, right) => left.prefix - right.prefix)) if (!kept.some((wider) => holdsAll(wider, network))) kept.push(network);
  return kept;
}
