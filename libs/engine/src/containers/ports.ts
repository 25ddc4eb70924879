import type { Duplex } from 'node:stream';
import type { TenantId } from '#kernel';

/** What listens in containers, for who is outside of their networks. */
export interface ContainerPorts {
  /**
   * A TCP connection to `port` of the container's loopback (that of the network it has joined, where it has none of its own). Half-open; to destroy it cuts it.
   * @throws CodedError `not_found`, `conflict` (`Container X is not running`), `failed_precondition` (nothing listens there), `deadline_exceeded`, `resource_exhausted`
   */
  connect(tenantId: TenantId, text: string, port: number): Promise<Duplex>;
}
