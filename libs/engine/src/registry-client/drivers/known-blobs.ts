import type { Digest } from '#kernel';
import type { TenantImages } from '../../images/index.js';

/** Whose images are for all. */
const PROVIDER = 'system';
/** Of all name spaces together, a few hundred bytes each. */
const MAX_FETCHED = 20_000;

/** Which blobs a name space may take without fetching them: those of its own images and of the node's, and what it fetched before and has no image of yet. */
export class KnownBlobs {
  private readonly fetched = new Set<string>();

  constructor(private readonly images: Pick<TenantImages, 'list'>) {}

  note(namespace: string, digest: Digest): void {
    const [oldest] = this.fetched;
    if (this.fetched.size >= MAX_FETCHED && oldest !== undefined) this.fetched.delete(oldest);
    this.fetched.add(`${namespace} ${digest}`);
  }

  async of(namespace: string): Promise<(digest: Digest) => boolean> {
    const images = [...(await this.images.list(namespace)), ...(namespace === PROVIDER ? [] : await this.images.list(PROVIDER))];
    const own = new Set(images.flatMap(({ id, manifest, layers }) => [id, manifest, ...layers.map(({ blob }) => blob)]));
    return (digest) => own.has(digest) || this.fetched.has(`${namespace} ${digest}`);
  }
}
