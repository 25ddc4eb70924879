import { parseIpv4, subnetsOf, holds, type Ipv4 } from '../ipv4.js';
import { CLOSED_DESTINATIONS } from '../node-rules.js';
import type { EgressPolicy } from '../networks.js';

/** One of the names that an asker can resolve. */
export interface Known {
  readonly address: Ipv4;
  readonly containerName: string;
  readonly networkName: string;
  /** In any case of letters. */
  readonly names: readonly string[];
}

/** Who asks, and what it knows: the members of its networks that resolve names. */
export interface NameScope {
  readonly egress: EgressPolicy;
  readonly known: readonly Known[];
}

const CLOSED = subnetsOf(...CLOSED_DESTINATIONS.map((text) => (text.includes('/') ? text : `${text}/32`)));

/** Whether no container can reach the address, whatever is allowed to it. */
export function isClosedAddress(address: Ipv4): boolean {
  return CLOSED.some((subnet) => holds(subnet, address));
}

/** undefined: nobody that it knows is called so. By `name` and, as Docker has it, by `name.network`. */
export function addressesOf({ known }: NameScope, name: string): Ipv4[] | undefined {
  const found = known.filter(({ names, networkName }) =>
    names.some((own) => {
      const lower = own.toLowerCase();
      return lower === name || `${lower}.${networkName.toLowerCase()}` === name;
    }),
  );
  return found.length === 0 ? undefined : found.map(({ address }) => address);
}

export type Reverse = { readonly kind: 'member'; readonly name: string } | { readonly kind: 'private' } | undefined;

/** What an address in a question for its name (`4.3.2.1.in-addr.arpa`) is; undefined: the world's, or no such question. */
export function reverseOf({ known }: NameScope, name: string): Reverse {
  const match = /^(\d+)\.(\d+)\.(\d+)\.(\d+)\.in-addr\.arpa$/.exec(name);
  const address = match === null ? undefined : parseIpv4(match.slice(1, 5).reverse().join('.'));
  if (address === undefined) return undefined;
  const member = known.find((one) => one.address === address);
  if (member !== undefined) return { kind: 'member', name: `${member.containerName}.${member.networkName}` };
  // The node's resolvers may know the operator's own machines.
  return isClosedAddress(address) ? { kind: 'private' } : undefined;
}

/** `example.org` names itself, `*.example.org` all below it. */
export function matchesDomain(name: string, domains: readonly string[]): boolean {
  return domains.some((domain) => {
    const lower = domain.toLowerCase().replace(/\.$/, '');
    return lower.startsWith('*.') ? name.endsWith(lower.slice(1)) && name.length > lower.length - 1 : name === lower;
  });
}

