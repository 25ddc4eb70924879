import { Inject, Injectable, type OnApplicationShutdown } from '@nestjs/common';
import type { NodeId } from '#kernel';
import { SETTINGS } from '../platform/platform.js';
import type { GatewaySettings } from '../platform/settings.js';
import { HomeNodes } from './home-nodes.service.js';
import { NodeConnection } from './node-connection.js';
import { NodeSockets } from './node-sockets.js';
import { RemoteTenantHost } from './remote-tenant-host.js';
import type { HostTenant, TenantHost, TenantHosts } from './tenant-host.js';

/** Tenants' virtual hosts on their home nodes, over node RPC. */
@Injectable()
export class RemoteTenantHosts implements TenantHosts, OnApplicationShutdown {
  private readonly sockets = new NodeSockets({ maxSockets: 256, maxFreeSockets: 16 });

  constructor(
    private readonly homes: HomeNodes,
    @Inject(SETTINGS) private readonly settings: GatewaySettings,
  ) {}

  onApplicationShutdown(): void {
    this.sockets.close();
  }

  of(tenant: HostTenant): TenantHost {
    return new RemoteTenantHost(tenant, async () => this.connection(await this.homes.of(tenant.id)));
  }

  /** Of a tenant that is no more, hence has no row that would say where it lived. */
  at(nodeId: NodeId, tenant: HostTenant): TenantHost {
    return new RemoteTenantHost(tenant, () => this.connection(nodeId));
  }

  private async connection(nodeId: NodeId): Promise<NodeConnection> {
    return new NodeConnection(await this.homes.rpcUrlOf(nodeId), this.settings.nodeRpcToken, this.sockets);
  }
}
