/** An IPv4 address as a number, 0 to 2³²-1. */
export type Ipv4 = number;

/** Addresses with the first `prefix` bits of `base` in common; the other bits of `base` are 0. */
export interface Subnet {
  readonly base: Ipv4;
  readonly prefix: number;
}

/** Four decimal numbers, without signs, blanks or leading zeros: other readings of such texts differ between programs. */
export function parseIpv4(text: string): Ipv4 | undefined {
  const parts = text.split('.');
  if (parts.length !== 4 || !parts.every((part) => /^(0|[1-9]\d{0,2})$/.test(part) && Number(part) <= 255)) return undefined;
  return parts.reduce((value, part) => value * 256 + Number(part), 0);
}

export function formatIpv4(address: Ipv4): string {
  return [24, 16, 8, 0].map((shift) => (address >>> shift) & 255).join('.');
}

/** `10.0.0.0/8`. With bits set behind the prefix it is none: see `subnetAround`. */
export function parseSubnet(text: string): Subnet | undefined {
  const found = subnetAround(text);
  return found !== undefined && text.startsWith(`${formatIpv4(found.base)}/`) ? found : undefined;
}

/** The subnet of which `10.1.2.3/8` is an address. */
export function subnetAround(text: string): Subnet | undefined {
  const [address = '', length = '', ...more] = text.split('/');
  const base = parseIpv4(address);
  const prefix = Number(length);
  if (base === undefined || more.length > 0 || !/^(0|[1-9]\d?)$/.test(length) || prefix > 32) return undefined;
  return { base: base - (base % sizeOf({ base, prefix })), prefix };
}

export function formatSubnet({ base, prefix }: Subnet): string {
  return `${formatIpv4(base)}/${prefix}`;
}

export function sizeOf({ prefix }: Subnet): number {
  return 2 ** (32 - prefix);
}

export function lastOf(subnet: Subnet): Ipv4 {
  return subnet.base + sizeOf(subnet) - 1;
}

export function holds(subnet: Subnet, address: Ipv4): boolean {
  return address >= subnet.base && address <= lastOf(subnet);
}

export function holdsAll(outer: Subnet, inner: Subnet): boolean {
  return holds(outer, inner.base) && inner.prefix >= outer.prefix;
}

export function overlap(left: Subnet, right: Subnet): boolean {
  return holds(left, right.base) || holds(right, left.base);
}

/** Subnets that are written in our own source. */
export function subnetsOf(...texts: readonly string[]): Subnet[] {
  return texts.map((text) => {
    const subnet = parseSubnet(text);
    if (subnet === undefined) throw new TypeError(`${text} is no subnet`);
    return subnet;
  });
}
