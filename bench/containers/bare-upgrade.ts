import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import type { SandbarInstance } from '../sandbar-instance.ts';

/** The server's part of a connection (accepting it) is over by then. */
const SETTLE_MS = 5;

/**
 * Asks for a WebSocket on a connection that is open already, with no client but the socket, and gives the milliseconds from the writing of the request to the
 * reading of `until`: what the platform takes, the loopback both ways, and the waking of this process. No connecting, no library.
 * @throws Error with what came when the connection ends before
 */
export async function bareUpgradeMs(instance: SandbarInstance, path: string, until: string): Promise<number> {
  const { host, port } = instance.address;
  const socket = connect({ host, port, noDelay: true });
  const over = Promise.withResolvers<number>();
  let heard = '';
  socket.on('error', over.reject).on('close', () => {
    over.reject(new Error(`${path}: ${heard}`));
  });
  socket.on('data', (chunk: Buffer) => {
    heard += chunk.toString('latin1');
    if (heard.includes(until)) over.resolve(performance.now());
  });
  await once(socket, 'connect');
  await sleep(SETTLE_MS);
  const headers = { ...instance.headers, host, connection: 'Upgrade', upgrade: 'websocket', 'sec-websocket-version': '13', 'sec-websocket-key': randomBytes(16).toString('base64') };
  const request = `GET ${path} HTTP/1.1\r\n${Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`).join('')}\r\n`;
  const began = performance.now();
  socket.write(request);
  try {
    return (await over.promise) - began;
  } finally {
    socket.destroy();
  }
}
