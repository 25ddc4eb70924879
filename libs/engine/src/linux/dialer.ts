import type { Duplex } from 'node:stream';
import type { ProcessIdentity } from './proc.js';

/** TCP connections inside the network name spaces of processes. */
export interface Dialer {
  /**
   * To `port` of the loopback there. Half-open: the end of either half is handed on as that; to destroy it cuts both. Nothing but the network is shared: neither
   * files nor processes of the other side are looked at.
   * @throws CodedError `not_found` (there is no such process any more), `failed_precondition` (nothing listens there), `deadline_exceeded`, `resource_exhausted` (too many at once)
   */
  dial(process: ProcessIdentity, port: number): Promise<Duplex>;
  /** Idempotent. Cuts all connections. */
  close(): Promise<void>;
}
