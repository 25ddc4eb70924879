import { createSocket, type RemoteInfo, type Socket } from 'node:dgram';
import { isIPv6 } from 'node:net';
import type { Closable, ProxyTarget } from './proxy.js';

const MOST_PEERS = 1_024;
const MOST_WAITING = 16;
/** As long as the kernel remembers a conversation of datagrams (nf_conntrack_udp_timeout_stream is 120 s). */
const IDLE_MS = 90_000;

/** Hands datagrams on: each peer has a socket of its own inside, so that answers find back. @throws the system's error */
export async function openUdpProxy(address: string, port: number, target: ProxyTarget): Promise<Closable> {
  const outer = createSocket(isIPv6(address) ? 'udp6' : 'udp4');
  const peers = new Map<string, Peer>();
  await new Promise<void>((resolve, reject) => {
    outer.once('error', reject);
    outer.bind({ address, port, exclusive: true }, () => {
      outer.removeListener('error', reject);
      outer.on('error', () => undefined);
      resolve();
    });
  });
  outer.on('message', (message, from) => {
    const key = `${from.address} ${from.port}`;
    const known = peers.get(key);
    if (known === undefined && peers.size >= MOST_PEERS) return;
    const peer = known ?? new Peer(outer, from, target, () => peers.delete(key));
    peers.set(key, peer);
    peer.send(message);
  });
  return {
    close: () =>
      new Promise((closed) => {
        for (const peer of peers.values()) peer.end();
        outer.close(() => {
          closed();
        });
      }),
  };
}

/** One conversation. */
class Peer {
  readonly #inner: Socket;
  readonly #ended: () => void;
  readonly #timer: NodeJS.Timeout;
  /** Until the socket inside is connected; then undefined. */
  #waiting: Buffer[] | undefined = [];

  constructor(outer: Socket, { address, port }: RemoteInfo, target: ProxyTarget, ended: () => void) {
    this.#ended = ended;
    this.#timer = setTimeout(() => {
      this.end();
    }, IDLE_MS).unref();
    this.#inner = createSocket('udp4');
    // Nobody listens there at this moment: as datagrams are, it is lost.
    this.#inner.on('error', () => undefined);
    this.#inner.on('message', (message) => {
      this.#timer.refresh();
      outer.send(message, port, address);
    });
    this.#inner.connect(target.port, target.address, () => {
      for (const message of this.#waiting ?? []) this.#inner.send(message);
      this.#waiting = undefined;
    });
  }

  send(message: Buffer): void {
    this.#timer.refresh();
    if (this.#waiting === undefined) this.#inner.send(message);
    else if (this.#waiting.length < MOST_WAITING) this.#waiting.push(message);
  }

  end(): void {
    clearTimeout(this.#timer);
    this.#ended();
    this.#inner.removeAllListeners('message');
    this.#inner.close();
  }
}
