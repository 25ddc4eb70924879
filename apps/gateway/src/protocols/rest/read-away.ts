import type { IncomingMessage, ServerResponse } from 'node:http';

/** After the answer, what was left of the request's body is read for that long and thrown away: a client that still sends gets the answer and not a reset. */
export function readAway(request: IncomingMessage, response: ServerResponse, drainMs: number): void {
  response.once('finish', () => {
    if (request.complete || request.destroyed) return;
    const timer = setTimeout(() => request.socket.destroy(), drainMs);
    for (const end of ['end', 'close'] as const) {
      request.once(end, () => {
        clearTimeout(timer);
      });
    }
    request.resume();
  });
}
