import type { ConnectNetworkBody, CreateNetworkBody, DisconnectNetworkBody, NetworkView } from '#contracts';
import type { LabelFilter } from './label-filter.js';

/** The networks of a tenant's virtual host. A network is named by its name, its ID or a unique prefix of that. Failures are the engine's, in Docker's words. */
export interface HostNetworks {
  list(): Promise<NetworkView[]>;
  /** @throws CodedError `not_found` */
  get(ref: string): Promise<NetworkView>;
  /** @throws CodedError `conflict` (name or subnet taken), `quota_exceeded`, `invalid_argument` */
  create(request: CreateNetworkBody): Promise<NetworkView>;
  /** @throws CodedError `not_found`, `conflict` (in use), `permission_denied` (pre-defined) */
  remove(ref: string): Promise<void>;
  prune(filter: LabelFilter): Promise<{ readonly removed: string[] }>;
  connect(ref: string, request: ConnectNetworkBody): Promise<void>;
  disconnect(ref: string, request: DisconnectNetworkBody): Promise<void>;
}
