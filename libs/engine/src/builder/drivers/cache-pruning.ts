import { isCodedError, type Digest, type TenantId } from '#kernel';
import type { TenantImages } from '../../images/index.js';
import type { BuildCache } from './build-cache.js';

/** Forgets all steps of a tenant, and removes those of their images that nothing else keeps, the last ones first. */
export async function prunedBuilds(images: Pick<TenantImages, 'list' | 'remove' | 'usage'>, cache: BuildCache, tenantId: TenantId): Promise<{ readonly removed: readonly Digest[]; readonly reclaimedBytes: number }> {
  const known = await cache.images(tenantId);
  await cache.drop(tenantId);
  const before = (await images.usage(tenantId)).layersBytes;
  const removed: Digest[] = [];
  const refused = new Set<Digest>();
  for (;;) {
    const all = await images.list(tenantId);
    const parents = new Set(all.map(({ parent }) => parent));
    const leaves = all.filter(({ id, tags, containers }) => known.has(id) && !parents.has(id) && !refused.has(id) && tags.length === 0 && containers.length === 0);
    if (leaves.length === 0) break;
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
  return { removed, reclaimedBytes: Math.max(0, before - (await images.usage(tenantId)).layersBytes) };
}
