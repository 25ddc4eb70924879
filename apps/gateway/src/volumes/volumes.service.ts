import { Inject, Injectable } from '@nestjs/common';
import type { Readable } from 'node:stream';
import type { CreateVolumeBody, DiskUsageView, VolumeView } from '#contracts';
import type { TenantCaller } from '../auth/caller.js';
import type { HostStream, TenantHost, TenantHosts } from '../nodes/tenant-host.js';
import { TENANT_HOSTS } from '../platform/platform.js';
import type { ListVolumesQuery, PruneVolumes, RemoveVolumeQuery } from './volume-requests.schema.js';

/** A tenant's volumes, on its virtual host. */
@Injectable()
export class VolumesService {
  constructor(@Inject(TENANT_HOSTS) private readonly hosts: TenantHosts) {}

  async list(caller: TenantCaller, query: ListVolumesQuery): Promise<{ items: VolumeView[] }> {
    return { items: await this.host(caller).volumes(query) };
  }

  get(caller: TenantCaller, name: string): Promise<VolumeView> {
    return this.host(caller).volume(name);
  }

  create(caller: TenantCaller, request: CreateVolumeBody): Promise<VolumeView> {
    return this.host(caller).createVolume(request);
  }

  remove(caller: TenantCaller, name: string, query: RemoveVolumeQuery): Promise<void> {
    return this.host(caller).removeVolume(name, query);
  }

  prune(caller: TenantCaller, { all, labels, labelsNot }: PruneVolumes): Promise<{ removed: string[]; reclaimedBytes: number }> {
    return this.host(caller).pruneVolumes({ all, ...(labels === undefined ? {} : { labels }), ...(labelsNot === undefined ? {} : { labelsNot }) });
  }

  pack(caller: TenantCaller, name: string, signal: AbortSignal): Promise<HostStream> {
    return this.host(caller).packVolume(name, signal);
  }

  extract(caller: TenantCaller, name: string, tar: Readable, signal: AbortSignal): Promise<void> {
    return this.host(caller).extractVolume(name, tar, signal);
  }

  diskUsage(caller: TenantCaller): Promise<DiskUsageView> {
    return this.host(caller).diskUsage();
  }

  private host(caller: TenantCaller): TenantHost {
    return this.hosts.of(caller.tenant);
  }
}
