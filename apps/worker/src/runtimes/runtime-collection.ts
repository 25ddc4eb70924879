import type { TenantImages } from '#engine';
import { canonicalName, parseReference } from '#kernel';
import { BASE_IMAGES } from '../base-images/base-image-installer.js';
import { PLATFORM_TENANT } from './platform-tenant.js';
import { runtimeReference } from './runtime-names.js';

/**
 * Removes what the platform's builds have left: trials, and runtimes that newer ones have taken the place of. For the one process that knows what containers
 * and runs stand on.
 * @returns how many images went
 */
export async function collectRuntimeImages(images: Pick<TenantImages, 'list' | 'remove' | 'prune'>, installed: readonly string[]): Promise<number> {
  const kept = new Set(installed.map((name) => canonicalName(runtimeReference(name, 'latest'))));
  const bases = (await images.list(BASE_IMAGES)).flatMap(({ tags }) => tags);
  for (const tag of bases) if (parseReference(tag).path.startsWith(OLD_RUNTIMES)) await images.remove(BASE_IMAGES, tag, { force: true, keepParents: true });
  for (const { tags } of await images.list(PLATFORM_TENANT)) {
    for (const tag of tags) if (!kept.has(tag) && !bases.includes(tag)) await images.remove(PLATFORM_TENANT, tag, { force: true, keepParents: true });
  }
  let gone = 0;
  for (const namespace of [PLATFORM_TENANT, BASE_IMAGES]) gone += (await images.prune(namespace, { all: false })).removals.filter(({ kind }) => kind === 'deleted').length;
  return gone;
}

/** Root file systems as versions before Dockerfiles kept them. */
const OLD_RUNTIMES = 'runtime/';
