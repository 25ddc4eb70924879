import { diskUsageSchema, volumeViewSchema, type CreateVolumeBody, type DiskUsageView, type VolumeView } from '#contracts';
import { z } from 'zod';
import type { Transport } from './transport.js';

/** Volumes of the key's tenant. Each method throws SandbarApiError. */
export class VolumesApi {
  constructor(private readonly transport: Transport) {}

  async list(options: { size?: boolean } = {}): Promise<VolumeView[]> {
    return (await this.transport.call({ method: 'GET', path: '/v1/volumes', query: { ...options } }, z.object({ items: z.array(volumeViewSchema) }))).items;
  }

  get(name: string): Promise<VolumeView> {
    return this.transport.call({ method: 'GET', path: pathOf(name) }, volumeViewSchema);
  }

  /** Without a name: an anonymous one. */
  create(volume: CreateVolumeBody = {}): Promise<VolumeView> {
    return this.transport.call({ method: 'POST', path: '/v1/volumes', body: volume }, volumeViewSchema);
  }

  async remove(name: string, options: { force?: boolean } = {}): Promise<void> {
    await this.transport.callForNothing({ method: 'DELETE', path: pathOf(name), query: { ...options } });
  }

  /** What images, containers and volumes take. */
  diskUsage(): Promise<DiskUsageView> {
    return this.transport.call({ method: 'GET', path: '/v1/disk-usage' }, diskUsageSchema);
  }
}

function pathOf(name: string): string {
  return `/v1/volumes/${encodeURIComponent(name)}`;
}
