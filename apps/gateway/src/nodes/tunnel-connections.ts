import type { RequestOptions } from 'node:http';
import { connect, type Socket } from 'node:net';

/** Below the time in which a node expects a connection to say something (`headersTimeout` of its server). */
const SPARE_MS = 45_000;
/** What a connection was taken for comes first, the next one behind it. */
const REFILL_MS = 20;
const EVENTS = ['data', 'end', 'timeout', 'error'] as const;

/** Where a node listens. */
export type NodeTarget = Pick<RequestOptions, 'socketPath' | 'host' | 'port'>;

/**
 * Connections for tunnels, which nobody can use again. To each node that had a tunnel in the last 45 s another one is kept ready, so that the next tunnel need not
 * wait for it.
 */
export class TunnelConnections {
  private readonly spares = new Map<string, SpareConnection>();
  private closed = false;

  constructor(
    private readonly spareMs: number = SPARE_MS,
    private readonly refillMs: number = REFILL_MS,
  ) {}

  /** Half-open; it may not be connected yet, and what goes wrong with it is an `error` of it. The caller owns it. */
  take(target: NodeTarget): Socket {
    const name = JSON.stringify([target.socketPath, target.host, target.port]);
    const socket = this.spares.get(name)?.take() ?? connectTo(target);
    let filled = false;
    const refill = (): void => {
      if (filled) return;
      filled = true;
      clearTimeout(timer);
      this.refill(name, target);
    };
    const timer = setTimeout(refill, this.refillMs);
    timer.unref();
    socket.once('close', refill);
    return socket;
  }

  close(): void {
    this.closed = true;
    for (const spare of this.spares.values()) spare.close();
  }

  private refill(name: string, target: NodeTarget): void {
    if (this.closed || this.spares.has(name)) return;
    const spare = new SpareConnection(connectTo(target), this.spareMs, () => {
      if (this.spares.get(name) === spare) this.spares.delete(name);
    });
    this.spares.set(name, spare);
  }
}

/** One that waits for its use. A node has nothing to say before it is asked: whatever comes means that the connection is of no use. */
class SpareConnection {
  readonly close = (): void => {
    // At once: `close` comes later, and until then it could be taken.
    this.gone();
    this.socket.destroy();
  };

  constructor(
    private readonly socket: Socket,
    spareMs: number,
    private readonly gone: () => void,
  ) {
    socket.setTimeout(spareMs).unref();
    for (const event of EVENTS) socket.on(event, this.close);
    socket.once('close', gone);
  }

  /** Nobody else has it from now on. */
  take(): Socket {
    const { socket } = this;
    for (const event of EVENTS) socket.off(event, this.close);
    socket.off('close', this.gone);
    this.gone();
    return socket.setTimeout(0).ref();
  }
}

function connectTo({ socketPath, host, port }: NodeTarget): Socket {
  const to = typeof socketPath === 'string' ? { path: socketPath } : { host: host ?? '127.0.0.1', port: Number(port) };
  const socket = connect({ ...to, allowHalfOpen: true });
  // A letter typed leaves at once.
  socket.setNoDelay(true);
  return socket;
}
