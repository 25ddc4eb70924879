import { CodedError } from '#kernel';
import { formatIpv4, holds, lastOf, type Ipv4, type Subnet } from './ipv4.js';

/** Which addresses of a network are in use. Memory only: endpoints claim theirs again after a restart. */
export class AddressPool {
  readonly #subnet: Subnet;
  readonly #range: Subnet;
  readonly #taken = new Set<Ipv4>();
  /** None below it is free. */
  #lowest: Ipv4;

  /** @param range of the subnet, what is handed out by itself; other addresses of the subnet can be asked for */
  constructor(subnet: Subnet, range: Subnet, gateway: Ipv4) {
    this.#subnet = subnet;
    this.#range = range;
    this.#lowest = range.base;
    // The network's own name and its broadcast (RFC 1122, 3.2.1.3); pairs of addresses have neither (RFC 3021).
    if (subnet.prefix < 31) for (const address of [subnet.base, lastOf(subnet)]) this.#taken.add(address);
    this.#taken.add(gateway);
  }

  /** The lowest free one. @throws CodedError `resource_exhausted` */
  take(): Ipv4 {
    for (let address = this.#lowest; address <= lastOf(this.#range); address += 1) {
      if (this.#taken.has(address)) continue;
      this.#taken.add(address);
      this.#lowest = address + 1;
      return address;
    }
    throw new CodedError('resource_exhausted', "no available IPv4 addresses on this network's address pools", { pool: `${formatIpv4(this.#range.base)}/${this.#range.prefix}` });
  }

  /** @throws CodedError `conflict`, `invalid_argument` (not of this network) */
  claim(address: Ipv4): void {
    if (!holds(this.#subnet, address)) throw new CodedError('invalid_argument', `no configured subnet contains IP address ${formatIpv4(address)}`, { address: formatIpv4(address) });
    if (this.#taken.has(address)) throw new CodedError('conflict', 'Address already in use', { address: formatIpv4(address) });
    this.#taken.add(address);
  }

  /** One that was taken or claimed. */
  release(address: Ipv4): void {
    this.#taken.delete(address);
    if (holds(this.#range, address)) this.#lowest = Math.min(this.#lowest, address);
  }
}
