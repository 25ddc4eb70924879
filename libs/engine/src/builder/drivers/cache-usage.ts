import { digestHex, type Digest, type TenantId } from '#kernel';
import type { ImageRecord } from '../../images/index.js';
import type { CacheRecord } from '../cache-records.js';
import type { BuildCache, CacheEntry } from './build-cache.js';
import type { DockerfileBuilderOptions } from './builder-services.js';
import { CACHE_LABEL, CACHE_VOLUMES } from './cache-mount.js';

type Services = Pick<DockerfileBuilderOptions, 'images' | 'volumes'>;

/** All that a tenant's builds keep, steps first, those before that stand on them. */
export async function cacheRecords(services: Services, cache: BuildCache, tenantId: TenantId): Promise<CacheRecord[]> {
  const entries = new Map<Digest, CacheEntry[]>();
  for (const entry of await cache.entries(tenantId)) entries.set(entry.imageId, [...(entries.get(entry.imageId) ?? []), entry]);
  const images = await services.images.list(tenantId);
  const kept = keptImages(images, new Set(entries.keys()));
  const layers = new Map(images.map(({ id, layers: own }) => [id, own.length]));
  const steps = images.flatMap((image) => {
    const own = entries.get(image.id);
    return own === undefined ? [] : [stepRecord(image, own, { shared: kept.has(image.id), parentLayers: image.parent === undefined ? 0 : (layers.get(image.parent) ?? 0), parent: image.parent !== undefined && entries.has(image.parent) ? image.parent : undefined })];
  });
  return [...steps.sort((one, other) => one.createdAt - other.createdAt), ...(await mountRecords(services, tenantId))];
}

function stepRecord(image: ImageRecord, entries: readonly CacheEntry[], around: { readonly shared: boolean; readonly parentLayers: number; readonly parent: Digest | undefined }): CacheRecord {
  return {
    id: digestHex(image.id),
    kind: 'step',
    parent: around.parent === undefined ? undefined : digestHex(around.parent),
    description: image.config.history?.at(-1)?.created_by ?? '',
    sizeBytes: image.layers.slice(around.parentLayers).reduce((bytes, layer) => bytes + layer.sizeBytes, 0),
    createdAt: image.addedAt,
    lastUsedAt: Math.max(image.addedAt, ...entries.map(({ usedAtMs }) => Math.round(usedAtMs))),
    uses: entries.reduce((uses, entry) => uses + entry.uses, 0),
    inUse: image.containers.length > 0,
    shared: around.shared,
  };
}

/** Images that no pruning of the cache takes: what is named, used or was not made by a build, and all that it was made from. */
function keptImages(images: readonly ImageRecord[], known: ReadonlySet<Digest>): Set<Digest> {
  const byId = new Map(images.map((image) => [image.id, image]));
  const kept = new Set<Digest>();
  for (const image of images) {
    if (known.has(image.id) && image.tags.length === 0 && image.containers.length === 0) continue;
    for (let each: ImageRecord | undefined = image; each !== undefined && !kept.has(each.id); each = each.parent === undefined ? undefined : byId.get(each.parent)) kept.add(each.id);
  }
  return kept;
}

async function mountRecords({ volumes }: Services, tenantId: TenantId): Promise<CacheRecord[]> {
  const own = (await volumes.list(tenantId)).filter(({ name }) => name.startsWith(CACHE_VOLUMES));
  return Promise.all(own.map(async ({ name, createdAt, labels }): Promise<CacheRecord> => {
    const { bytes } = await volumes.usage(tenantId, name);
    return { id: name, kind: 'mount', parent: undefined, description: `cached mount ${labels[CACHE_LABEL] ?? ''}`.trim(), sizeBytes: bytes, createdAt, lastUsedAt: createdAt, uses: 1, inUse: volumes.holders(tenantId, name).length > 0, shared: false };
  }));
}
