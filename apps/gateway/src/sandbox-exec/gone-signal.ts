import type { UpgradeRequest } from '../streams/upgrade-route.js';

/** Fires when the client goes away before its upgrade is decided on. */
export function goneSignal({ message }: Pick<UpgradeRequest, 'message'>): AbortSignal {
  const gone = new AbortController();
  message.socket.once('close', () => {
    gone.abort();
  });
  return gone.signal;
}
