import { Inject, Injectable } from '@nestjs/common';
import type { ConnectNetworkBody, CreateNetworkBody, DisconnectNetworkBody, NetworkView } from '#contracts';
import type { TenantCaller } from '../auth/caller.js';
import type { HostNetworks } from '../nodes/host-networks.js';
import type { TenantHosts } from '../nodes/tenant-host.js';
import { TENANT_HOSTS } from '../platform/platform.js';
import type { PruneNetworks } from './network-requests.schema.js';

/** A tenant's networks, on its virtual host. */
@Injectable()
export class NetworksService {
  constructor(@Inject(TENANT_HOSTS) private readonly hosts: TenantHosts) {}

  async list(caller: TenantCaller): Promise<{ items: NetworkView[] }> {
    return { items: await this.networks(caller).list() };
  }

  get(caller: TenantCaller, ref: string): Promise<NetworkView> {
    return this.networks(caller).get(ref);
  }

  create(caller: TenantCaller, request: CreateNetworkBody): Promise<NetworkView> {
    return this.networks(caller).create(request);
  }

  remove(caller: TenantCaller, ref: string): Promise<void> {
    return this.networks(caller).remove(ref);
  }

  prune(caller: TenantCaller, { labels, labelsNot }: PruneNetworks): Promise<{ removed: string[] }> {
    return this.networks(caller).prune({ ...(labels === undefined ? {} : { labels }), ...(labelsNot === undefined ? {} : { labelsNot }) });
  }

  connect(caller: TenantCaller, ref: string, request: ConnectNetworkBody): Promise<void> {
    return this.networks(caller).connect(ref, request);
  }

  disconnect(caller: TenantCaller, ref: string, request: DisconnectNetworkBody): Promise<void> {
    return this.networks(caller).disconnect(ref, request);
  }

  private networks(caller: TenantCaller): HostNetworks {
    return this.hosts.of(caller.tenant).networks;
  }
}
