import type { WebSocket } from 'ws';

const PING_INTERVAL_MS = 20_000;

/** Pings a peer; one that has not answered by the next ping is dead (pulled cable, suspended machine) and is cut. */
export function keepAlive(socket: WebSocket, intervalMs: number = PING_INTERVAL_MS): void {
  let answered = true;
  socket.on('pong', () => {
    answered = true;
  });
  const timer = setInterval(() => {
    if (!answered) {
      socket.terminate();
      return;
    }
    answered = false;
    socket.ping();
  }, intervalMs);
  timer.unref();
  socket.once('close', () => {
    clearInterval(timer);
  });
}
