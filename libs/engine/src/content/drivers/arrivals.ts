import { mkdir, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { digestHex, errnoOf, isDigest, type Digest } from '#kernel';

/**
 * Downloads that came whole while somebody held them, an empty file each until the last pin goes. What a killed process leaves tells the
 * next one that the rest of an image may still be asked for.
 */
export class Arrivals {
  private readonly marked = new Set<Digest>();

  private constructor(private readonly folder: string) {}

  static async open(folder: string): Promise<Arrivals> {
    await mkdir(folder, { recursive: true, mode: 0o700 });
    const arrivals = new Arrivals(folder);
    for (const name of await readdir(folder)) {
      const digest = `sha256:${name}`;
      if (isDigest(digest)) arrivals.marked.add(digest);
    }
    return arrivals;
  }

  async mark(digest: Digest): Promise<void> {
    this.marked.add(digest);
    // Without it a blob is fetched again at worst.
    await writeFile(this.path(digest), '', { mode: 0o600 }).catch(() => undefined);
  }

  /** Whether it came less than so long ago; forgets it otherwise. */
  async isRecent(digest: Digest, maxAgeMs: number): Promise<boolean> {
    if (!this.marked.has(digest)) return false;
    try {
      if (Date.now() - (await stat(this.path(digest))).mtimeMs < maxAgeMs) return true;
    } catch (error) {
      if (errnoOf(error) !== 'ENOENT') throw error;
    }
    await this.forget(digest);
    return false;
  }

  async forget(digest: Digest): Promise<void> {
    if (!this.marked.delete(digest)) return;
    await rm(this.path(digest), { force: true });
  }

  /** The disk is full: the next sweep takes what nobody needs by then. */
  async forgetAll(): Promise<void> {
    for (const digest of [...this.marked]) await this.forget(digest);
  }

  private path(digest: Digest): string {
    return join(this.folder, digestHex(digest));
  }
}
