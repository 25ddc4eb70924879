import { isCodedError, type Digest } from '#kernel';
import type { BuildCache } from './build-cache.js';
import type { BuildSession } from './build-session.js';

/** What is to be said of `--cache-from`: the steps of an image that was built here are known by themselves, and those of another say nothing of what they were made from. */
export async function cacheSourceWarnings({ services, tenantId, request }: Pick<BuildSession, 'services' | 'tenantId' | 'request'>, cache: BuildCache): Promise<string[]> {
  const { cacheFrom = [] } = request;
  if (cacheFrom.length === 0) return [];
  const known = new Set((await cache.entries(tenantId)).map(({ imageId }) => imageId));
  const parents = new Map((await services.images.list(tenantId)).map(({ id, parent }) => [id, parent]));
  const warnings: string[] = [];
  for (const name of new Set(cacheFrom)) {
    let id: Digest | undefined;
    try {
      id = (await services.images.resolve(tenantId, name)).id;
    } catch (error) {
      if (!isCodedError(error, 'not_found') && !isCodedError(error, 'invalid_argument')) throw error;
      warnings.push(`cache-from: there is no image ${name} here: nothing is taken from it`);
      continue;
    }
    while (id !== undefined && !known.has(id)) id = parents.get(id);
    if (id === undefined) warnings.push(`cache-from: the image ${name} was not built here: nothing is taken from it`);
  }
  return warnings;
}
