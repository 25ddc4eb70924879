import { Module } from '@nestjs/common';
import { GIVEN_HOSTS, TENANT_HOSTS } from '../platform/platform.js';
import { HomeNodes } from './home-nodes.service.js';
import { HostDrops } from './host-drops.service.js';
import { NodeJobs } from './node-jobs.service.js';
import { NodeRpcClient } from './node-rpc.client.js';
import { RemoteTenantHosts } from './remote-tenant-hosts.service.js';
import { RuntimeCatalogue } from './runtime-catalogue.service.js';
import { RuntimeInstalls } from './runtime-installs.service.js';
import type { TenantHosts } from './tenant-host.js';

@Module({
  providers: [HomeNodes, HostDrops, NodeJobs, NodeRpcClient, RemoteTenantHosts, RuntimeCatalogue, RuntimeInstalls, { provide: TENANT_HOSTS, inject: [GIVEN_HOSTS, RemoteTenantHosts], useFactory: (given: TenantHosts | undefined, remote: RemoteTenantHosts): TenantHosts => given ?? remote }],
  exports: [HomeNodes, HostDrops, NodeJobs, NodeRpcClient, RuntimeCatalogue, RuntimeInstalls, TENANT_HOSTS],
})
export class NodesModule {}
