import { createHash } from 'node:crypto';
import { formatSubnet, type Subnet } from './ipv4.js';
import type { RuleElement } from './rule-elements.js';
import { tableText } from './rule-table.js';

/**
 * What no sandbox reaches, whatever a tenant asks for: addresses that are no public ones (RFC 6890), among them the metadata services of clouds
 * (169.254.169.254, 100.100.100.200, 192.0.0.192), and Azure's (168.63.129.16).
 */
export const CLOSED_DESTINATIONS = [
  '0.0.0.0/8', '10.0.0.0/8', '100.64.0.0/10', '127.0.0.0/8', '168.63.129.16', '169.254.0.0/16', '172.16.0.0/12', '192.0.0.0/24', '192.168.0.0/16', '198.18.0.0/15', '224.0.0.0/4', '240.0.0.0/4',
] as const;

export const TABLE_PREFIX = 'sandbar-';
/** Of every instance's uplinks. */
export const LINK_PREFIX = 'sbn';

/** Instances begin in different parts of the pool. */
const PAIRS_APART = 4_096;

export interface NodeNames {
  readonly table: string;
  readonly linkPrefix: string;
  /** Where its uplinks' pairs of addresses begin. */
  readonly firstPair: number;
}

/** What an instance's things are called in the node's name space. An interface has at most 15 characters. */
export function nodeNames(instance: string): NodeNames {
  const hash = createHash('sha256').update(instance).digest();
  return { table: `${TABLE_PREFIX}${instance}`, linkPrefix: `${LINK_PREFIX}${hash.toString('hex').slice(0, 5)}-`, firstPair: 1 + hash.readUInt16BE(4) * PAIRS_APART };
}

/** One tenant's connections through the node: the table of connections is shared by all. */
const MOST_CONNECTIONS = 16_384;

export interface NodeRules {
  readonly table: string;
  /** Uplinks' names begin with it. */
  readonly linkPrefix: string;
  /** What tenants may go out by. */
  readonly outgoing: readonly string[];
  /** Those whose forwarding Sandbar switched on: nothing but its own passes there. */
  readonly guarded: readonly string[];
  readonly allowed: readonly Subnet[];
}

/** For `nft -f`: one transaction. */
export function nodeRules({ table, linkPrefix, outgoing, guarded, allowed }: NodeRules, elements: readonly RuleElement[]): string {
  const uplinks = `"${linkPrefix}*"`;
  const among = (names: readonly string[]): string => `{ ${names.map((name) => `"${name}"`).join(', ')} }`;
  const toOutside = outgoing.length === 0 ? ['drop'] : [`oifname != ${among(outgoing)} drop`];
  const fromTenants = [
    'meta nfproto ipv6 drop',
    'ct state invalid drop',
    'iifname . ip saddr != @uplinks drop',
    `oifname "${LINK_PREFIX}*" drop`,
    'ct state established,related accept',
    ...toOutside,
    `add @connections { ip saddr ct count over ${MOST_CONNECTIONS} } drop`,
    ...allowed.map((subnet) => `ip daddr ${formatSubnet(subnet)} accept`),
    `ip daddr { ${CLOSED_DESTINATIONS.join(', ')} } drop`,
    'accept',
  ];
  // Other instances have rules of their own for theirs.
  const guard = guarded.length === 0 ? [] : [`iifname ${among(guarded)} oifname != "${LINK_PREFIX}*" drop`];
  return tableText({
    table,
    elements,
    sets: [
      ['inet', 'set inet T uplinks { type ifname . ipv4_addr; }'],
      ['inet', 'set inet T connections { type ipv4_addr; size 65535; flags dynamic; }'],
    ],
    chains: [
      [
        'inet',
        [
          { name: 'from_tenants', rules: fromTenants },
          { name: 'to_tenants', rules: ['meta nfproto ipv4 ct state established,related accept', 'drop'] },
          { name: 'forward', hook: 'type filter hook forward priority -10; policy accept;', rules: [`iifname ${uplinks} jump from_tenants`, `oifname ${uplinks} jump to_tenants`, ...guard] },
          // The node itself speaks to tenants' published ports; tenants never speak to the node.
          { name: 'input', hook: 'type filter hook input priority -10; policy accept;', rules: [`iifname ${uplinks} meta nfproto ipv4 ct state established,related accept`, `iifname ${uplinks} drop`] },
          { name: 'outward', hook: 'type nat hook postrouting priority 100; policy accept;', rules: [`iifname ${uplinks} masquerade`] },
        ],
      ],
    ],
  });
}
