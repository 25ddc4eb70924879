import { readFile, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { asError, errnoOf, isDigest, parseReference, type Logger } from '#kernel';
import { isObject } from '../documents.js';
import type { TenantImages } from '../tenant-images.js';

/**
 * Takes over what version 1 kept, `refs/<name space>/<sha256 of the name>.json` with a name and a manifest. What cannot be taken over is let go: it was the
 * root file systems of runtimes, which their installer makes again.
 */
export async function takeOverOldRefs(root: string, images: Pick<TenantImages, 'register'>, logger: Logger): Promise<void> {
  const refs = join(root, 'refs');
  for (const namespace of await namesIn(refs)) {
    for (const file of await namesIn(join(refs, namespace))) {
      try {
        const value: unknown = JSON.parse(await readFile(join(refs, namespace, file), 'utf8'));
        if (!isObject(value) || typeof value.name !== 'string' || !isDigest(value.manifest)) continue;
        await images.register(namespace, { manifest: value.manifest, names: [parseReference(value.name)] });
      } catch (error) {
        logger.warn({ namespace, file, err: asError(error) }, 'an image of an older version could not be taken over');
      }
    }
  }
  await rm(refs, { recursive: true, force: true });
}

async function namesIn(folder: string): Promise<string[]> {
  try {
    return await readdir(folder);
  } catch (error) {
    if (errnoOf(error) === 'ENOENT' || errnoOf(error) === 'ENOTDIR') return [];
    throw error;
  }
}
