import type { Duplex } from 'node:stream';
import { createWebSocketStream, type WebSocket } from 'ws';
import { splice, type SpliceOptions, type SpliceResult } from './splice.js';

const HELD_BYTES = 64 * 1024;

/** As `splice`, a WebSocket's messages being the bytes. It has no halves: closed by its client it takes nothing any more, so the tunnel closes too. */
export function spliceWebSocket(socket: WebSocket, node: Duplex, options: SpliceOptions): Promise<SpliceResult> {
  const client = createWebSocketStream(socket, { readableHighWaterMark: HELD_BYTES, writableHighWaterMark: HELD_BYTES });
  socket.once('close', () => {
    if (!node.readableEnded) client.destroy();
  });
  return splice(client, node, options);
}
