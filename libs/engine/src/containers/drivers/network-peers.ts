import type { TenantId } from '#kernel';
import type { Sandbox } from '../../runtime/index.js';
import type { ContainerRecord } from './container-record.js';

/** Another container of the tenant, as far as networks go. */
export interface NetworkPeer {
  readonly record: ContainerRecord;
  readonly sandbox: Pick<Sandbox, 'pinNetwork'> | undefined;
}

export interface NetworkPeers {
  /** @throws CodedError `not_found` */
  find(tenantId: TenantId, text: string): NetworkPeer;
  of(tenantId: TenantId): Iterable<NetworkPeer>;
}
