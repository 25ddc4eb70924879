import { createHash } from 'node:crypto';
import { mkdir, readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { errnoOf, isDigest, type Digest, type TenantId } from '#kernel';
import { removeFile, writeFileDurably } from '../../linux/index.js';

/** Steps kept of each tenant. */
const MAX_ENTRIES = 20_000;

/**
 * What each step came to: a file per key, which holds the ID of an image. Nobody but the tenant has part in its keys or its images, so nobody else can
 * bring something in. That the image is still there is for the reader to see.
 */
export class BuildCache {
  private readonly counts = new Map<TenantId, number>();

  constructor(private readonly root: string) {}

  async get(tenantId: TenantId, key: string): Promise<Digest | undefined> {
    try {
      const text = await readFile(join(this.root, tenantId, key), 'utf8');
      return isDigest(text) ? text : undefined;
    } catch (error) {
      if (errnoOf(error) === 'ENOENT') return undefined;
      throw error;
    }
  }

  /** When there is no room, what is there goes, all at once: what is needed comes again. */
  async put(tenantId: TenantId, key: string, imageId: Digest): Promise<void> {
    const folder = join(this.root, tenantId);
    await mkdir(folder, { recursive: true, mode: 0o700 });
    const count = this.counts.get(tenantId) ?? (await readdir(folder)).length;
    if (count >= MAX_ENTRIES) {
      await this.drop(tenantId);
      await mkdir(folder, { recursive: true, mode: 0o700 });
    }
    await writeFileDurably(join(folder, key), imageId);
    this.counts.set(tenantId, count >= MAX_ENTRIES ? 1 : count + 1);
  }

  /** Every image that a key leads to. */
  async images(tenantId: TenantId): Promise<Set<Digest>> {
    const found = new Set<Digest>();
    for (const key of await this.keys(tenantId)) {
      const imageId = await this.get(tenantId, key);
      if (imageId !== undefined) found.add(imageId);
    }
    return found;
  }

  async forget(tenantId: TenantId, key: string): Promise<void> {
    await removeFile(join(this.root, tenantId, key));
  }

  async drop(tenantId: TenantId): Promise<void> {
    this.counts.delete(tenantId);
    await rm(join(this.root, tenantId), { recursive: true, force: true });
  }

  private async keys(tenantId: TenantId): Promise<string[]> {
    try {
      return (await readdir(join(this.root, tenantId))).filter((name) => /^[0-9a-f]{64}$/.test(name));
    } catch (error) {
      if (errnoOf(error) === 'ENOENT') return [];
      throw error;
    }
  }
}

/** Of plain values: arrays keep their order, objects the order in which the code names their members. */
export function cacheKey(...parts: readonly unknown[]): string {
  return createHash('sha256').update(JSON.stringify(['1', ...parts])).digest('hex');
}
