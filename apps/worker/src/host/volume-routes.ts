import { createVolumeSchema, type VolumeView } from '#contracts';
import type { CreateVolume, Volume } from '#engine';
import type { TenantId } from '#kernel';
import { RpcBytes } from '../node/rpc-answers.js';
import type { RpcRoute } from '../node/rpc-server.js';
import { bodyOf, flag, hostRoute, required } from './host-route.js';
import { ensureDisk, type HostServices } from './host-services.js';
import { accepts, pruneAllSchema } from './label-filter.js';
import { volumeView } from './volume-views.js';

export function volumeRoutes(services: HostServices): RpcRoute[] {
  const { volumes } = services;
  return [
    hostRoute('GET', '/volumes', (call) => volumeViews(services, call.tenantId, flag(call, 'size'))),
    hostRoute('GET', '/volume', async (call) => view(services, call.tenantId, await volumes.get(call.tenantId, required(call, 'name')), false)),
    hostRoute('POST', '/volumes', async (call) => {
      const request = await bodyOf(call, createVolumeSchema);
      await ensureDisk(services, call.tenantId, call.limits());
      return view(services, call.tenantId, await volumes.create(call.tenantId, request as CreateVolume), false);
    }),
    hostRoute('DELETE', '/volume', async (call) => {
      await volumes.remove(call.tenantId, required(call, 'name'), { force: flag(call, 'force') });
    }),
    hostRoute('POST', '/volumes/prune', async (call) => {
      const filter = await bodyOf(call, pruneAllSchema);
      return volumes.prune(call.tenantId, { all: filter.all, accepts: (volume) => accepts(filter, volume) });
    }),
    hostRoute('GET', '/volume/archive', async (call) => {
      const { name } = await volumes.get(call.tenantId, required(call, 'name'));
      return new RpcBytes(volumes.pack(call.tenantId, name), { type: 'application/x-tar' });
    }),
    hostRoute('PUT', '/volume/archive', async (call) => {
      const { name } = await volumes.get(call.tenantId, required(call, 'name'));
      await ensureDisk(services, call.tenantId, call.limits());
      await volumes.extract(call.tenantId, name, call.body());
    }),
  ];
}

export async function volumeViews(services: HostServices, tenantId: TenantId, size: boolean): Promise<VolumeView[]> {
  const views: VolumeView[] = [];
  for (const volume of await services.volumes.list(tenantId)) views.push(await view(services, tenantId, volume, size));
  return views;
}

async function view({ volumes }: HostServices, tenantId: TenantId, volume: Volume, size: boolean): Promise<VolumeView> {
  const bytes = size ? (await volumes.usage(tenantId, volume.name)).bytes : null;
  return volumeView(volume, volumes.holders(tenantId, volume.name), bytes);
}
