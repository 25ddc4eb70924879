import { Inject, Injectable } from '@nestjs/common';
import type { CommitContainerBody, ImageDetail, ImageHistory, ImageRemovals, ImageSummary } from '#contracts';
import type { TenantCaller } from '../auth/caller.js';
import type { HostStream, TenantHost, TenantHosts } from '../nodes/tenant-host.js';
import { TENANT_HOSTS } from '../platform/platform.js';
import type { ImportedImage, ListImagesQuery, PruneImages, RemoveImageQuery } from './image-requests.schema.js';

/** A tenant's images, on its virtual host. */
@Injectable()
export class ImagesService {
  constructor(@Inject(TENANT_HOSTS) private readonly hosts: TenantHosts) {}

  async list(caller: TenantCaller, query: ListImagesQuery): Promise<{ items: ImageSummary[] }> {
    return { items: await this.host(caller).images(query) };
  }

  get(caller: TenantCaller, ref: string): Promise<ImageDetail> {
    return this.host(caller).image(ref);
  }

  async history(caller: TenantCaller, ref: string): Promise<{ items: ImageHistory }> {
    return { items: await this.host(caller).imageHistory(ref) };
  }

  async tag(caller: TenantCaller, ref: string, name: string): Promise<ImageDetail> {
    const host = this.host(caller);
    await host.tagImage(ref, name);
    return host.image(name);
  }

  async remove(caller: TenantCaller, ref: string, query: RemoveImageQuery): Promise<{ items: ImageRemovals }> {
    return { items: await this.host(caller).removeImage(ref, query) };
  }

  prune(caller: TenantCaller, { olderThan, ...filter }: PruneImages): Promise<{ removals: ImageRemovals; reclaimedBytes: number }> {
    const { labels, labelsNot, all } = filter;
    return this.host(caller).pruneImages({
      all,
      ...(labels === undefined ? {} : { labels }),
      ...(labelsNot === undefined ? {} : { labelsNot }),
      ...(olderThan === undefined ? {} : { untilMs: Date.parse(olderThan) }),
    });
  }

  save(caller: TenantCaller, names: readonly string[], signal: AbortSignal): Promise<HostStream> {
    return this.host(caller).saveImages(names, signal);
  }

  async commit(caller: TenantCaller, request: CommitContainerBody): Promise<ImportedImage> {
    return { id: (await this.host(caller).commitContainer(request)).imageId };
  }

  private host(caller: TenantCaller): TenantHost {
    return this.hosts.of(caller.tenant);
  }
}
