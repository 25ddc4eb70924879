import type { IncomingMessage, ServerResponse } from 'node:http';

const FLOW_MS = 20;

/** After the answer, what was left of the request's body is read for that long and thrown away: a client that still sends gets the answer and not a reset. */
export function readAway(request: IncomingMessage, response: ServerResponse, limitMs: number): void {
  response.once('finish', () => {
    if (request.complete || request.destroyed) return;
    const cut = setTimeout(() => request.socket.destroy(), limitMs);
    // Again and again: a route's reader lets go only with the piece after its end, and nothing flows while it holds on.
    const flow = setInterval(() => request.resume(), FLOW_MS);
    for (const end of ['end', 'close'] as const) {
      request.once(end, () => {
        clearTimeout(cut);
        clearInterval(flow);
      });
    }
    request.resume();
  });
}
