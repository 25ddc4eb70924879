import { z } from 'zod';
import type { DiskUsageView } from '#contracts';
import type { RpcRoute } from '../node/rpc-server.js';
import { archiveRoutes } from './archive-routes.js';
import { buildRoutes, type BuildRouteServices } from './build-routes.js';
import { containerReachedRoute } from './container-reached.js';
import { containerRoutes, usageOf } from './container-routes.js';
import { containerStreamRoutes } from './container-stream-routes.js';
import { eventRoutes } from './event-routes.js';
import { asHostCall, bodyOf, hostRoute, type HostCall } from './host-route.js';
import { fileRoutes } from './file-routes.js';
import { dropTenant, type HostServices } from './host-services.js';
import { imageRoutes } from './image-routes.js';
import { imageSummary, sharedBytes } from './image-views.js';
import { networkRoutes } from './network-routes.js';
import { processRoutes } from './process-routes.js';
import type { RuntimeImages } from '../runtimes/runtime-images.js';
import { volumeRoutes, volumeViews } from './volume-routes.js';

const runtimeSchema = z.strictObject({ name: z.string() });

/** What gateways ask of a node about the virtual hosts of the tenants that are at home here. `docs/node-rpc.md` */
export function hostRoutes(services: HostServices, runtimeImages: Pick<RuntimeImages, 'provide'>, builds: Pick<BuildRouteServices, 'attached' | 'spool'>): RpcRoute[] {
  const routes = [
    ...imageRoutes(services),
    ...archiveRoutes(services),
    ...buildRoutes({ ...services, ...builds }),
    ...volumeRoutes(services),
    ...networkRoutes(services),
    ...containerRoutes(services),
    ...containerStreamRoutes(services),
    ...processRoutes(services),
    containerReachedRoute(services),
    hostRoute('POST', '/images/runtime', async (call) => runtimeImages.provide(call.tenantId, (await bodyOf(call, runtimeSchema)).name)),
    ...fileRoutes(services),
    hostRoute('GET', '/disk-usage', (call) => diskUsage(services, call)),
    ...eventRoutes(services),
    hostRoute('DELETE', '/', (call) => dropTenant(services, call.tenantId)),
  ];
  return routes.map((route) => rememberingQuota(route, services));
}

/** Images are made at the end of long calls, and in jobs: what they may take is what the tenant's gateway said last. */
function rememberingQuota(route: RpcRoute, { quotas }: Pick<HostServices, 'quotas'>): RpcRoute {
  return {
    ...route,
    handle: (request) => {
      const { tenantId, limits } = asHostCall(request);
      if (request.header('x-sandbar-limits') !== undefined) quotas.remember(tenantId, limits().imageBytes);
      return route.handle(request);
    },
  };
}

async function diskUsage(services: HostServices, { tenantId }: HostCall): Promise<DiskUsageView> {
  const { images, containers, volumes } = services;
  const [records, usage, list, views, disk] = await Promise.all([
    images.list(tenantId),
    images.usage(tenantId),
    containers.list(tenantId),
    volumeViews(services, tenantId, true),
    volumes.diskUsage(tenantId),
  ]);
  const shared = sharedBytes(usage);
  const used: DiskUsageView['containers'] = [];
  for (const container of list) {
    const bytes = await usageOf(services, container);
    if (bytes !== undefined) used.push({ id: container.id, ...bytes });
  }
  return {
    layersBytes: usage.layersBytes,
    images: records.map((image) => imageSummary(image, shared)),
    containers: used,
    volumes: views,
    disk: disk === undefined ? null : { totalBytes: disk.totalBytes, usedBytes: disk.usedBytes, availableBytes: disk.availableBytes },
  };
}
