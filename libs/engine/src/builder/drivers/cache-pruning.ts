import { digestHex, isCodedError, type Digest, type TenantId } from '#kernel';
import type { CachePruning, CacheRecord } from '../cache-records.js';
import type { BuildCache } from './build-cache.js';
import type { DockerfileBuilderOptions } from './builder-services.js';
import { cacheRecords } from './cache-usage.js';

type Services = Pick<DockerfileBuilderOptions, 'images' | 'volumes'>;

export interface PrunedCache {
  /** As `CacheRecord.id`. */
  readonly removed: readonly string[];
  readonly reclaimedBytes: number;
}

/** Removes what of the cache was chosen and nothing else keeps. What is not chosen keeps all that it stands on. */
export async function prunedCache(services: Services, cache: BuildCache, tenantId: TenantId, pruning: CachePruning): Promise<PrunedCache> {
  const records = await cacheRecords(services, cache, tenantId);
  const chosen = chosenOf(records, pruning);
  // All of it: what is left of it, as part of images that stay, is not known any more either.
  if (pruning.accepts === undefined && pruning.keepBytes === undefined) await cache.drop(tenantId);
  const before = (await services.images.usage(tenantId)).layersBytes;
  const removed = await removedSteps(services, tenantId, new Set(chosen.filter(({ kind }) => kind === 'step').map(({ id }) => id)));
  await cache.forgetImages(tenantId, new Set(removed));
  const layersBytes = Math.max(0, before - (await services.images.usage(tenantId)).layersBytes);
  const mounts = await removedMounts(services, tenantId, chosen.filter(({ kind }) => kind === 'mount'));
  return { removed: [...removed.map(digestHex), ...mounts.map(({ id }) => id)], reclaimedBytes: layersBytes + mounts.reduce((bytes, { sizeBytes }) => bytes + sizeBytes, 0) };
}

function chosenOf(records: readonly CacheRecord[], { accepts, keepBytes }: CachePruning): CacheRecord[] {
  const free = records.filter((record) => !record.inUse && !record.shared && (accepts?.(record) ?? true));
  if (keepBytes === undefined) return free;
  let left = records.reduce((bytes, { shared, sizeBytes }) => bytes + (shared ? 0 : sizeBytes), 0);
  const chosen: CacheRecord[] = [];
  for (const record of free.sort((one, other) => one.lastUsedAt - other.lastUsedAt)) {
    if (left <= keepBytes) break;
    left -= record.sizeBytes;
    chosen.push(record);
  }
  return chosen;
}

/** The last ones first. */
async function removedSteps({ images }: Services, tenantId: TenantId, chosen: ReadonlySet<string>): Promise<Digest[]> {
  const removed: Digest[] = [];
  const refused = new Set<Digest>();
  for (;;) {
    const all = await images.list(tenantId);
    const parents = new Set(all.map(({ parent }) => parent));
    const leaves = all.filter(({ id, tags, containers }) => chosen.has(digestHex(id)) && !parents.has(id) && !refused.has(id) && tags.length === 0 && containers.length === 0);
    if (leaves.length === 0) return removed;
    for (const { id } of leaves) {
      try {
        await images.remove(tenantId, id, { force: false, keepParents: true });
        removed.push(id);
      } catch (error) {
        // Named or used meanwhile, or gone.
        if (!isCodedError(error, 'conflict') && !isCodedError(error, 'not_found')) throw error;
        refused.add(id);
      }
    }
  }
}

async function removedMounts({ volumes }: Services, tenantId: TenantId, chosen: readonly CacheRecord[]): Promise<CacheRecord[]> {
  const removed: CacheRecord[] = [];
  for (const record of chosen) {
    try {
      await volumes.remove(tenantId, record.id);
      removed.push(record);
    } catch (error) {
      if (!isCodedError(error, 'conflict') && !isCodedError(error, 'not_found')) throw error;
    }
  }
  return removed;
}
