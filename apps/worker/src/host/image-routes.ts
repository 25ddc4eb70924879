import { z } from 'zod';
import { commitContainerSchema, registryAuthSchema } from '#contracts';
import type { CommitContainer, RegistryAuth } from '#engine';
import { CodedError, parseReference, withDefaultTag } from '#kernel';
import type { RpcRoute } from '../node/rpc-server.js';
import { bodyOf, flag, hostRoute, integer, required } from './host-route.js';
import { ensureDisk, type HostServices } from './host-services.js';
import { imageDetail, imageHistory, imageRemovals, imageSummary, imageTime, sharedBytes } from './image-views.js';
import { accepts, pruneAllSchema } from './label-filter.js';

const tagSchema = z.strictObject({ source: z.string(), name: z.string() });
const loginSchema = z.strictObject({ serverAddress: z.string().max(1024), auth: registryAuthSchema });
const MAX_SEARCH = 100;

export function imageRoutes(services: HostServices): RpcRoute[] {
  const { images, containers, transfers } = services;
  return [
    hostRoute('GET', '/images', async (call) => {
      const [records, usage] = await Promise.all([images.list(call.tenantId), flag(call, 'sharedSize') ? images.usage(call.tenantId) : undefined]);
      const shared = usage === undefined ? undefined : sharedBytes(usage);
      return records.map((image) => imageSummary(image, shared));
    }),
    hostRoute('GET', '/image', async (call) => imageDetail(await images.resolve(call.tenantId, required(call, 'ref')))),
    hostRoute('GET', '/image/history', async (call) => imageHistory(await images.history(call.tenantId, required(call, 'ref')))),
    hostRoute('POST', '/image/tag', async (call) => {
      const { source, name } = await bodyOf(call, tagSchema);
      const target = withDefaultTag(parseReference(name));
      if (target.digest !== undefined) throw new CodedError('invalid_argument', 'refusing to create a tag with a digest reference');
      const { id } = await images.resolve(call.tenantId, source);
      await images.tag(call.tenantId, id, target);
    }),
    hostRoute('DELETE', '/image', async (call) =>
      imageRemovals(await images.remove(call.tenantId, required(call, 'ref'), { force: flag(call, 'force'), keepParents: flag(call, 'keepParents') })),
    ),
    hostRoute('POST', '/images/prune', async (call) => {
      const filter = await bodyOf(call, pruneAllSchema);
      const { removals, reclaimedBytes } = await images.prune(call.tenantId, {
        all: filter.all,
        accepts: (image) => accepts(filter, { labels: image.config.config.Labels ?? {}, createdAt: imageTime(image) }),
      });
      return { removals: imageRemovals(removals), reclaimedBytes };
    }),
    hostRoute('POST', '/images/commit', async (call) => {
      const { container, ...request } = await bodyOf(call, commitContainerSchema);
      await ensureDisk(services, call.tenantId, call.limits());
      return { imageId: await containers.commit(call.tenantId, container, request as CommitContainer) };
    }),
    hostRoute('POST', '/registry/login', async (call) => {
      const { serverAddress, auth } = await bodyOf(call, loginSchema);
      return transfers.login(serverAddress, auth as RegistryAuth, call.signal);
    }),
    hostRoute('GET', '/registry/search', async (call) => {
      const limit = Math.min(integer(call, 'limit') ?? 25, MAX_SEARCH);
      return transfers.search(required(call, 'term'), limit, call.signal);
    }),
  ];
}
