import { isIPv4 } from 'node:net';
import { CodedError, errnoOf } from '#kernel';
import { formatIpv4, type Ipv4 } from '../ipv4.js';
import { DYNAMIC_PORTS, type PortRange } from '../port-table.js';
import type { Protocol } from '../rule-elements.js';
import type { Closable, ProxyTarget } from './proxy.js';
import { openTcpProxy } from './tcp-proxy.js';
import { openUdpProxy } from './udp-proxy.js';

export interface NodePublisherOptions {
  /** Of the node, on which ports of tenants are opened. */
  readonly address: string;
  readonly ports: PortRange;
}

export interface NodePort {
  readonly protocol: Protocol;
  /** undefined: of every address. One of loopback stays on the node's loopback. */
  readonly hostIp: Ipv4 | undefined;
  readonly hostPort: number;
}

const LOOPBACK = '127.0.0.1';
const FIRST_OF_LOOPBACK = 127;

/** Ports of tenants on an address of the node, handed on by this process: to whoever asks there a tenant's port looks like the node's own. */
export class NodePublisher {
  constructor(private readonly options: NodePublisherOptions) {}

  /** What free ports are chosen from. */
  get dynamicPorts(): PortRange {
    const { ports } = this.options;
    const both = { first: Math.max(ports.first, DYNAMIC_PORTS.first), last: Math.min(ports.last, DYNAMIC_PORTS.last) };
    return both.first <= both.last ? both : ports;
  }

  /** All or none. @throws CodedError `conflict`, in Docker's words from `Bind for` on */
  async open(ports: readonly NodePort[], tenantAddress: Ipv4): Promise<Closable> {
    const opened: Closable[] = [];
    const close = async (): Promise<void> => {
      await Promise.all(opened.map((proxy) => proxy.close()));
    };
    try {
      for (const port of ports) opened.push(await this.#open(port, { address: formatIpv4(tenantAddress), port: port.hostPort }));
      return { close };
    } catch (error) {
      await close();
      throw error;
    }
  }

  async #open({ protocol, hostIp, hostPort }: NodePort, target: ProxyTarget): Promise<Closable> {
    const { first, last } = this.options.ports;
    const address = this.#addressFor(hostIp);
    if (hostPort < first || hostPort > last) {
      throw new CodedError('conflict', `Bind for ${address}:${hostPort} failed: ports ${first} to ${last} of this node are open to tenants`, { address, port: hostPort });
    }
    try {
      return await (protocol === 'tcp' ? openTcpProxy : openUdpProxy)(address, hostPort, target);
    } catch (error) {
      const code = errnoOf(error);
      if (code !== 'EADDRINUSE' && code !== 'EACCES') throw error;
      throw new CodedError('conflict', `Bind for ${address}:${hostPort} failed: ${code === 'EACCES' ? 'permission denied' : 'port is already allocated'}`, { address, port: hostPort }, { cause: error });
    }
  }

  #addressFor(hostIp: Ipv4 | undefined): string {
    const { address } = this.options;
    const ofLoopback = hostIp !== undefined && hostIp >>> 24 === FIRST_OF_LOOPBACK;
    const isLoopback = address === '::1' || (isIPv4(address) && address.startsWith(`${FIRST_OF_LOOPBACK}.`));
    return ofLoopback && !isLoopback ? LOOPBACK : address;
  }
}
