import type { DiskUsageView, HostEventView } from '#contracts';
import type { HostEvent } from '#engine';
import { CodedError } from '#kernel';
import { RpcLines } from '../node/rpc-answers.js';
import type { RpcRoute } from '../node/rpc-server.js';
import { archiveRoutes } from './archive-routes.js';
import { containerRoutes, usageOf } from './container-routes.js';
import { containerStreamRoutes } from './container-stream-routes.js';
import { fileRoutes } from './file-routes.js';
import { asHostCall, hostRoute, type HostCall } from './host-route.js';
import { dropTenant, type HostServices } from './host-services.js';
import { imageRoutes } from './image-routes.js';
import { imageSummary, sharedBytes } from './image-views.js';
import { networkRoutes } from './network-routes.js';
import { volumeRoutes, volumeViews } from './volume-routes.js';

/** What gateways ask of a node about the virtual hosts of the tenants that are at home here. `docs/node-rpc.md` */
export function hostRoutes(services: HostServices): RpcRoute[] {
  const routes = [
    ...imageRoutes(services),
    ...archiveRoutes(services),
    ...volumeRoutes(services),
    ...networkRoutes(services),
    ...containerRoutes(services),
    ...containerStreamRoutes(services),
    ...fileRoutes(services),
    hostRoute('GET', '/disk-usage', (call) => diskUsage(services, call)),
    hostRoute('GET', '/events', (call) => Promise.resolve(new RpcLines(eventViews(services.events.follow(call.tenantId, sinceNs(call), call.signal))))),
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

function sinceNs({ query }: HostCall): bigint | undefined {
  const text = query.get('since');
  if (text === null || text === '') return undefined;
  if (!/^\d{1,19}$/.test(text)) throw new CodedError('invalid_argument', 'since: not nanoseconds');
  return BigInt(text);
}

async function* eventViews(events: AsyncIterable<HostEvent>): AsyncGenerator<HostEventView, void, undefined> {
  for await (const { timeNs, type, action, id, attributes } of events) yield { timeNs: timeNs.toString(), type, action, id, attributes: { ...attributes } };
}
