import { connect, createServer, type Server, type Socket } from 'node:net';
import type { Closable, ProxyTarget } from './proxy.js';

const MOST_CONNECTIONS = 512;
const CONNECT_MS = 10_000;

/** Hands connections on. Each direction ends by itself, and neither is read faster than the other end takes it. @throws the system's error */
export async function openTcpProxy(address: string, port: number, target: ProxyTarget): Promise<Closable> {
  const open = new Set<Socket>();
  const server = createServer({ allowHalfOpen: true, pauseOnConnect: true }, (client) => {
    handOn(client, target, open);
  });
  server.maxConnections = MOST_CONNECTIONS;
  await listening(server, address, port);
  return {
    close: () =>
      new Promise((closed) => {
        server.close(() => {
          closed();
        });
        for (const socket of open) socket.destroy();
      }),
  };
}

function listening(server: Server, host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen({ host, port, exclusive: true }, () => {
      server.removeListener('error', reject);
      // One connection that cannot be taken (too many files) is no end of the others.
      server.on('error', () => undefined);
      resolve();
    });
  });
}

function handOn(client: Socket, { address, port }: ProxyTarget, open: Set<Socket>): void {
  const inner = connect({ host: address, port, allowHalfOpen: true });
  inner.setTimeout(CONNECT_MS, () => {
    inner.destroy();
  });
  inner.once('connect', () => {
    inner.setTimeout(0);
    client.resume();
    client.pipe(inner);
    inner.pipe(client);
  });
  for (const [socket, other] of [[client, inner], [inner, client]] as const) {
    open.add(socket);
    socket.setNoDelay(true);
    socket.on('error', () => undefined);
    socket.on('close', (failed) => {
      open.delete(socket);
      if (failed) other.resetAndDestroy();
      // What is still on its way to the other end arrives there.
      else if (!other.writableEnded) other.end();
    });
  }
}
