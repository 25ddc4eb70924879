import type { RuleElement } from './rule-elements.js';
import { tableText, type RuleChain } from './rule-table.js';

/** The table in a host name space. Nobody else makes tables there. */
export const HOST_TABLE = 'sandbar';
/** What the way out of a host name space is called in it. */
export const UPLINK = 'eth0';

/** Frames that members send into their bridge: their own addresses, IPv4 and ARP, nothing else. So a source address says who it is everywhere below. */
const BRIDGE_CHAINS: readonly RuleChain[] = [
  {
    name: 'from_members',
    hook: 'type filter hook prerouting priority -300; policy drop;',
    rules: ['ether type ip iifname . ether saddr . ip saddr @members accept', 'ether type arp iifname . ether saddr . arp saddr ip @members iifname . arp saddr ether . arp saddr ip @members accept'],
  },
];

const SETS: readonly [family: string, text: string][] = [
  ['bridge', 'set bridge T members { type ifname . ether_addr . ipv4_addr; }'],
  ['inet', 'set inet T bridges { type ifname . ifname; }'],
  ['inet', 'set inet T internal { type ifname; }'],
  ['inet', 'set inet T policed { type ipv4_addr; }'],
  ['inet', 'set inet T allowed { type ipv4_addr . ipv4_addr; flags interval; }'],
  ['inet', 'set inet T pinned { type ipv4_addr . ipv4_addr; flags timeout; size 65535; }'],
  ['inet', 'map inet T ports { type inet_proto . inet_service : ipv4_addr . inet_service; }'],
  ['inet', 'map inet T ports_node { type inet_proto . inet_service : ipv4_addr . inet_service; }'],
  ['inet', 'map inet T ports_at { type ipv4_addr . inet_proto . inet_service : ipv4_addr . inet_service; }'],
];

const CHAINS: readonly RuleChain[] = [
  {
    name: 'arriving',
    hook: 'type filter hook prerouting priority -300; policy accept;',
    // Addresses of loopback are routed here for published ports on 127.0.0.1: none may come in from outside.
    rules: ['iifname != "lo" meta nfproto ipv6 drop', 'iifname != "lo" ip daddr 127.0.0.0/8 drop', 'iifname != "lo" ip saddr 127.0.0.0/8 drop'],
  },
  { name: 'published', rules: ['dnat ip to ip daddr . meta l4proto . th dport map @ports_at', 'dnat ip to meta l4proto . th dport map @ports'] },
  { name: 'to_ports', hook: 'type nat hook prerouting priority -100; policy accept;', rules: ['iifname @internal accept', `iifname "${UPLINK}" dnat ip to meta l4proto . th dport map @ports_node`, 'meta nfproto ipv4 fib daddr type local meta l4proto { tcp, udp } jump published'] },
  { name: 'own_to_ports', hook: 'type nat hook output priority -100; policy accept;', rules: ['meta nfproto ipv4 fib daddr type local meta l4proto { tcp, udp } jump published'] },
  {
    name: 'outward',
    hook: 'type nat hook postrouting priority 100; policy accept;',
    rules: [
      `oifname "${UPLINK}" masquerade`,
      // A member that reaches another by a published port: the answer must come back this way.
      'iifname . oifname @bridges ct status dnat masquerade',
      'oifname != "lo" ip saddr 127.0.0.0/8 masquerade',
    ],
  },
  { name: 'policed_leaving', rules: [`oifname != "${UPLINK}" drop`, 'ip saddr . ip daddr @allowed accept', 'ip saddr . ip daddr @pinned accept', 'drop'] },
  {
    name: 'forward',
    hook: 'type filter hook forward priority 0; policy drop;',
    rules: [
      'ct state invalid drop',
      'ct state established,related accept',
      'iifname . oifname @bridges accept',
      'iifname @internal drop',
      'oifname @internal drop',
      'ip saddr @policed goto policed_leaving',
      'ct status dnat accept',
      `iifname != "${UPLINK}" oifname "${UPLINK}" accept`,
    ],
  },
  {
    name: 'input',
    hook: 'type filter hook input priority 0; policy drop;',
    rules: [
      'iifname "lo" accept',
      'ct state established,related accept',
      'meta nfproto ipv6 drop',
      // Our resolver, and whether the gateway is there.
      'meta l4proto { tcp, udp } th dport 53 accept',
      'icmp type echo-request accept',
      'iifname @internal drop',
      'ip saddr @policed drop',
      'accept',
    ],
  },
];

/** For `nft -f`: one transaction that puts these rules and elements in the place of all that were there. */
export function hostRules(elements: readonly RuleElement[]): string {
  return tableText({ table: HOST_TABLE, sets: SETS, chains: [['bridge', BRIDGE_CHAINS], ['inet', CHAINS]], elements });
}
