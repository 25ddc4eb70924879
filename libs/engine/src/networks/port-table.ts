import { CodedError } from '#kernel';
import { formatIpv4, type Ipv4 } from './ipv4.js';
import type { Protocol } from './rule-elements.js';

export interface PortRange {
  readonly first: number;
  readonly last: number;
}

/** Where Linux, and Docker after it, chooses ports by itself. */
export const DYNAMIC_PORTS: PortRange = { first: 32_768, last: 60_999 };

/** Ports of one host that are published. A port on every address (undefined) leaves none on a single one. */
export class PortTable {
  readonly #taken = new Map<string, (Ipv4 | undefined)[]>();
  #next = DYNAMIC_PORTS.first;

  /** @param port 0: the next free one of `dynamic`. @throws CodedError `conflict` (Docker's words without what stands before `Bind for`), `resource_exhausted` */
  take(protocol: Protocol, hostIp: Ipv4 | undefined, port: number, dynamic: PortRange = DYNAMIC_PORTS): number {
    if (port !== 0) {
      if (!this.#isFree(protocol, hostIp, port)) throw alreadyAllocated(hostIp, port);
      this.#add(protocol, hostIp, port);
      return port;
    }
    for (let tries = 0; tries <= dynamic.last - dynamic.first; tries += 1) {
      const candidate = this.#next >= dynamic.first && this.#next <= dynamic.last ? this.#next : dynamic.first;
      this.#next = candidate + 1;
      if (!this.#isFree(protocol, hostIp, candidate)) continue;
      this.#add(protocol, hostIp, candidate);
      return candidate;
    }
    throw new CodedError('resource_exhausted', 'all ports are allocated', {});
  }

  release(protocol: Protocol, hostIp: Ipv4 | undefined, port: number): void {
    const key = `${protocol}/${port}`;
    const holders = this.#taken.get(key) ?? [];
    const index = holders.indexOf(hostIp);
    if (index >= 0) holders.splice(index, 1);
    if (holders.length === 0) this.#taken.delete(key);
  }

  #isFree(protocol: Protocol, hostIp: Ipv4 | undefined, port: number): boolean {
    const holders = this.#taken.get(`${protocol}/${port}`) ?? [];
    return holders.every((holder) => holder !== undefined && hostIp !== undefined && holder !== hostIp);
  }

  #add(protocol: Protocol, hostIp: Ipv4 | undefined, port: number): void {
    const key = `${protocol}/${port}`;
    this.#taken.set(key, [...(this.#taken.get(key) ?? []), hostIp]);
  }
}

export function alreadyAllocated(hostIp: Ipv4 | undefined, port: number): CodedError {
  const address = hostIp === undefined ? '0.0.0.0' : formatIpv4(hostIp);
  return new CodedError('conflict', `Bind for ${address}:${port} failed: port is already allocated`, { address, port });
}
