import { CLIENT_GONE } from '../streams/client-gone.js';
import type { UpgradeRequest } from '../streams/upgrade-route.js';

/** Fires when the client goes away before its upgrade is decided on. */
export function goneSignal({ message }: Pick<UpgradeRequest, 'message'>): AbortSignal {
  const gone = new AbortController();
  message.socket.once('close', () => {
    gone.abort(CLIENT_GONE);
  });
  return gone.signal;
}
