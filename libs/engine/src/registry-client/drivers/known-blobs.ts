import { mkdir, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { digestHex, isDigest, type Digest } from '#kernel';
import type { TenantImages } from '../../images/index.js';

/** Whose images are for all. */
const PROVIDER = 'system';
/** Of all name spaces together, a few hundred bytes each. */
const MAX_FETCHED = 20_000;
/** As long as the content store keeps what a killed pull had whole. */
const KEPT_MS = 60 * 60 * 1000;
const MARK = /^([\w-]{1,64})\.([0-9a-f]{64})$/;

/**
 * Which blobs a name space may take without fetching them: those of its own images and of the node's, and what it fetched before and has no image of yet. The
 * latter are an empty file each until their image is registered, so that a pull that a killed process began goes on where it was.
 */
export class KnownBlobs {
  private readonly fetched = new Set<string>();
  private loaded: Promise<void> | undefined;

  constructor(
    private readonly images: Pick<TenantImages, 'list'>,
    private readonly folder: string,
  ) {}

  async note(namespace: string, digest: Digest): Promise<void> {
    const mark = markOf(namespace, digest);
    const [oldest] = this.fetched;
    if (this.fetched.size >= MAX_FETCHED && oldest !== undefined) await this.forget(oldest);
    this.fetched.add(mark);
    // Without it the blob is fetched again at worst.
    await writeFile(join(this.folder, mark), '', { mode: 0o600 }).catch(() => undefined);
  }

  async of(namespace: string): Promise<(digest: Digest) => boolean> {
    await (this.loaded ??= this.load());
    const images = [...(await this.images.list(namespace)), ...(namespace === PROVIDER ? [] : await this.images.list(PROVIDER))];
    const own = new Set(images.flatMap(({ id, manifest, layers }) => [id, manifest, ...layers.map(({ blob }) => blob)]));
    return (digest) => own.has(digest) || this.fetched.has(markOf(namespace, digest));
  }

  /** They belong to an image of the name space now. */
  async settle(namespace: string, digests: Iterable<Digest>): Promise<void> {
    for (const digest of digests) await this.forget(markOf(namespace, digest));
  }

  private async forget(mark: string): Promise<void> {
    if (!this.fetched.delete(mark)) return;
    await rm(join(this.folder, mark), { force: true });
  }

  private async load(): Promise<void> {
    await mkdir(this.folder, { recursive: true, mode: 0o700 });
    for (const name of await readdir(this.folder)) {
      const path = join(this.folder, name);
      const isRecent = Date.now() - (await stat(path)).mtimeMs < KEPT_MS;
      if (isRecent && MARK.test(name) && this.fetched.size < MAX_FETCHED) this.fetched.add(name);
      else await rm(path, { force: true, recursive: true });
    }
  }
}

function markOf(namespace: string, digest: Digest): string {
  return `${namespace}.${isDigest(digest) ? digestHex(digest) : ''}`;
}
