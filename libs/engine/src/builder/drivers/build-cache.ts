import { createHash } from 'node:crypto';
import { constants } from 'node:fs';
import { appendFile, mkdir, readdir, readFile, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { errnoOf, isDigest, type Digest, type TenantId } from '#kernel';
import { removeFile, writeFileDurably } from '../../linux/index.js';

/** Steps kept of each tenant. */
const MAX_ENTRIES = 20_000;

export interface CacheEntry {
  readonly key: string;
  readonly imageId: Digest;
  /** Beside the step that made it. */
  readonly uses: number;
  readonly usedAtMs: number;
}

/** `sha256:` and 64 digits. Behind them stands a byte for each use. */
const DIGEST_LENGTH = 71;
const USE = '.';

/**
 * What each step came to: a file per key, which holds the ID of an image. Nobody but the tenant has part in its keys or its images, so nobody else can
 * bring something in. That the image is still there is for the reader to see.
 */
export class BuildCache {
  private readonly counts = new Map<TenantId, number>();

  constructor(private readonly root: string) {}

  async get(tenantId: TenantId, key: string): Promise<Digest | undefined> {
    return (await this.entry(tenantId, key))?.imageId;
  }

  /** To be told of each use: how often, and when last, is what the file becomes by it. */
  async used(tenantId: TenantId, key: string): Promise<void> {
    try {
      await appendFile(join(this.root, tenantId, key), USE, { flag: constants.O_WRONLY | constants.O_APPEND });
    } catch (error) {
      if (errnoOf(error) !== 'ENOENT') throw error;
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

  async entries(tenantId: TenantId): Promise<CacheEntry[]> {
    const found: CacheEntry[] = [];
    for (const key of await this.keys(tenantId)) {
      const entry = await this.entry(tenantId, key);
      if (entry !== undefined) found.push(entry);
    }
    return found;
  }

  async forget(tenantId: TenantId, key: string): Promise<void> {
    await removeFile(join(this.root, tenantId, key));
  }

  /** Every key that leads to one of them. */
  async forgetImages(tenantId: TenantId, images: ReadonlySet<Digest>): Promise<void> {
    for (const { key, imageId } of await this.entries(tenantId)) if (images.has(imageId)) await this.forget(tenantId, key);
  }

  async drop(tenantId: TenantId): Promise<void> {
    this.counts.delete(tenantId);
    await rm(join(this.root, tenantId), { recursive: true, force: true });
  }

  private async entry(tenantId: TenantId, key: string): Promise<CacheEntry | undefined> {
    const path = join(this.root, tenantId, key);
    try {
      const [text, { mtimeMs }] = await Promise.all([readFile(path, 'latin1'), stat(path)]);
      const imageId = text.slice(0, DIGEST_LENGTH);
      return isDigest(imageId) ? { key, imageId, uses: text.length - DIGEST_LENGTH, usedAtMs: mtimeMs } : undefined;
    } catch (error) {
      if (errnoOf(error) === 'ENOENT') return undefined;
      throw error;
    }
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
  return createHash('sha256').update(JSON.stringify(['2', ...parts])).digest('hex');
}
