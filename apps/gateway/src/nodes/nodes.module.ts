import { Module } from '@nestjs/common';
import { TENANT_HOSTS } from '../platform/platform.js';
import { HomeNodes } from './home-nodes.service.js';
import { HostDrops } from './host-drops.service.js';
import { NodeRpcClient } from './node-rpc.client.js';
import { RemoteTenantHosts } from './remote-tenant-hosts.service.js';
import { RuntimeCatalogue } from './runtime-catalogue.service.js';

@Module({
  providers: [HomeNodes, HostDrops, NodeRpcClient, RemoteTenantHosts, RuntimeCatalogue, { provide: TENANT_HOSTS, useExisting: RemoteTenantHosts }],
  exports: [HomeNodes, HostDrops, NodeRpcClient, RuntimeCatalogue, TENANT_HOSTS],
})
export class NodesModule {}
