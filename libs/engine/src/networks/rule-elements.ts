import { formatIpv4, lastOf, type Ipv4, type Subnet } from './ipv4.js';

/** nf_tables' numbers of protocol families (linux/netfilter.h). */
const FAMILIES = { inet: 1, bridge: 7 } as const;
const PROTOCOLS = { tcp: 6, udp: 17 } as const;
const IFNAME_BYTES = 16;

export type Protocol = keyof typeof PROTOCOLS;
export type RuleFamily = keyof typeof FAMILIES;

/**
 * An element of a set or map of nftables: in the bytes that the kernel compares, each part of a key filled up to four (nft(8), "concatenations"), and in
 * nft's words, for where it is loaded together with rules.
 */
export interface RuleElement {
  readonly family: RuleFamily;
  readonly set: string;
  readonly key: Buffer;
  /** Of a range of keys, the last. */
  readonly end?: Buffer;
  /** What a map has under the key. */
  readonly data?: Buffer;
  readonly timeoutMs?: number;
  readonly text: string;
}

function address(value: Ipv4): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

function port(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt16BE(value);
  return bytes;
}

function interfaceName(name: string): Buffer {
  const bytes = Buffer.alloc(IFNAME_BYTES);
  bytes.write(name, 'latin1');
  return bytes;
}

function macAddress(text: string): Buffer {
  return Buffer.from(`${text.replaceAll(':', '')}0000`, 'hex');
}

/** Who may send with which addresses into a bridge. */
export function memberElement(hostLink: string, mac: string, ipv4: Ipv4): RuleElement {
  return { family: 'bridge', set: 'members', key: Buffer.concat([interfaceName(hostLink), macAddress(mac), address(ipv4)]), text: `"${hostLink}" . ${mac} . ${formatIpv4(ipv4)}` };
}

/** Packets that come from a bridge and go back to it. */
export function bridgeElement(bridge: string): RuleElement {
  return { family: 'inet', set: 'bridges', key: Buffer.concat([interfaceName(bridge), interfaceName(bridge)]), text: `"${bridge}" . "${bridge}"` };
}

export function internalElement(bridge: string): RuleElement {
  return { family: 'inet', set: 'internal', key: interfaceName(bridge), text: `"${bridge}"` };
}

export interface PortTarget {
  readonly protocol: Protocol;
  /** undefined: any address of the tenant's host. */
  readonly hostIp: Ipv4 | undefined;
  readonly hostPort: number;
  readonly address: Ipv4;
  readonly containerPort: number;
}

export function portElement(target: PortTarget): RuleElement {
  const from = [Buffer.from([PROTOCOLS[target.protocol], 0, 0, 0]), port(target.hostPort)];
  const data = Buffer.concat([address(target.address), port(target.containerPort)]);
  const text = `${target.protocol} . ${target.hostPort} : ${formatIpv4(target.address)} . ${target.containerPort}`;
  if (target.hostIp === undefined) return { family: 'inet', set: 'ports', key: Buffer.concat(from), data, text };
  return { family: 'inet', set: 'ports_at', key: Buffer.concat([address(target.hostIp), ...from]), data, text: `${formatIpv4(target.hostIp)} . ${text}` };
}

/** A port that is open on an address of the node, from where it is handed on over the uplink whatever address it has in the tenant's host. */
export function nodePortElement(target: PortTarget): RuleElement {
  return { ...portElement({ ...target, hostIp: undefined }), set: 'ports_node' };
}

/** An address for which not all is open. */
export function policedElement(ipv4: Ipv4): RuleElement {
  return { family: 'inet', set: 'policed', key: address(ipv4), text: formatIpv4(ipv4) };
}

export function allowedElement(ipv4: Ipv4, subnet: Subnet): RuleElement {
  return {
    family: 'inet',
    set: 'allowed',
    key: Buffer.concat([address(ipv4), address(subnet.base)]),
    end: Buffer.concat([address(ipv4), address(lastOf(subnet))]),
    text: `${formatIpv4(ipv4)} . ${formatIpv4(subnet.base)}-${formatIpv4(lastOf(subnet))}`,
  };
}

export function pinnedElement(ipv4: Ipv4, destination: Ipv4, timeoutMs: number): RuleElement {
  return { family: 'inet', set: 'pinned', key: Buffer.concat([address(ipv4), address(destination)]), timeoutMs, text: `${formatIpv4(ipv4)} . ${formatIpv4(destination)} timeout ${Math.ceil(timeoutMs / 1000)}s` };
}

/** Of the node's own table: which uplink sends with which address. */
export function uplinkElement(link: string, ipv4: Ipv4): RuleElement {
  return { family: 'inet', set: 'uplinks', key: Buffer.concat([interfaceName(link), address(ipv4)]), text: `"${link}" . ${formatIpv4(ipv4)}` };
}

function line(space: string, table: string, verb: 'add' | 'remove', element: RuleElement): string {
  const { family, set, key, end, data, timeoutMs = 0 } = element;
  const hex = (bytes: Buffer | undefined): string => bytes?.toString('hex') ?? '-';
  return `element ${space} ${FAMILIES[family]} ${table} ${set} ${verb} ${hex(key)} ${hex(end)} ${hex(data)} ${timeoutMs}`;
}

/** Lines of `sandbar-net apply`. One that is there already stays. */
export function addElements(space: string, table: string, elements: readonly RuleElement[]): string[] {
  return elements.map((element) => line(space, table, 'add', element));
}

/** One that is not there is fine: in one transaction it is added before it is removed. */
export function removeElements(space: string, table: string, elements: readonly RuleElement[]): string[] {
  return elements.flatMap((element) => [line(space, table, 'add', element), line(space, table, 'remove', element)]);
}

/** Added anew, so that its time begins again: before Linux 6.11 an element that is there keeps the time it had. */
export function renewElements(space: string, table: string, elements: readonly RuleElement[]): string[] {
  return [...removeElements(space, table, elements), ...addElements(space, table, elements)];
}

/** Lines of `nft -f`. */
export function elementLines(table: string, elements: readonly RuleElement[]): string[] {
  const sets = new Map<string, string[]>();
  for (const { family, set, text } of elements) {
    const name = `${family} ${table} ${set}`;
    const texts = sets.get(name) ?? [];
    texts.push(text);
    sets.set(name, texts);
  }
  return [...sets].map(([name, texts]) => `add element ${name} { ${texts.join(', ')} }`);
}
