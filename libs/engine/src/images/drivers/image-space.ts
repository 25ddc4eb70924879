import { CodedError, canonicalName, isDigest, parseReference, withDefaultTag, type Digest, type ImageReference } from '#kernel';
import type { ImageHolder, ImageLayer } from '../tenant-images.js';
import { Counts } from './counts.js';

/** What is kept of an image beside its documents. */
export interface StoredImage {
  readonly id: Digest;
  readonly manifest: Digest;
  readonly parent: Digest | undefined;
  readonly addedAt: number;
  /** The unpacked stack that it stands on. */
  readonly chainId: Digest;
  /** Lowest first. */
  readonly layers: readonly ImageLayer[];
  /** Of its manifest and config; absent in what older versions wrote. */
  readonly documentsBytes?: number;
}

export interface StoredName {
  /** Canonical. */
  readonly name: string;
  readonly image: Digest;
  readonly taggedAt: number;
}

export interface Hold extends ImageHolder {
  readonly image: Digest;
  readonly stack: readonly Digest[];
}

const ID = /^[a-f0-9]{1,64}$/;
const SHA256 = 'sha256:';

/** The images, names and holders of one name space, in memory. */
export class ImageSpace {
  readonly images = new Map<Digest, StoredImage>();
  readonly names = new Map<string, StoredName>();
  readonly holds = new Map<string, Hold>();
  /** By images and holders of this name space. */
  readonly chains = new Counts();

  add(image: StoredImage): void {
    this.images.set(image.id, image);
    this.chains.add(stackOf(image));
  }

  delete(image: StoredImage): void {
    if (this.images.delete(image.id)) this.chains.drop(stackOf(image));
  }

  /** Sorted; tags and digests. */
  namesOf(id: Digest): StoredName[] {
    return [...this.names.values()].filter(({ image }) => image === id).sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  childrenOf(id: Digest): StoredImage[] {
    return [...this.images.values()].filter(({ parent }) => parent === id);
  }

  holdersOf(id: Digest): Hold[] {
    return [...this.holds.values()].filter(({ image }) => image === id);
  }

  /** Bytes of all layers, each once. */
  layersBytes(): number {
    return [...this.layerSizes().values()].reduce((sum, size) => sum + size, 0);
  }

  layerSizes(): Map<Digest, number> {
    return new Map([...this.images.values()].flatMap(({ layers }) => layers.map((layer) => [layer.chainId, layer.sizeBytes] as const)));
  }

  find(reference: ImageReference): StoredName | undefined {
    return this.names.get(nameOf(reference));
  }

  /** @throws CodedError `not_found`, `invalid_argument` */
  resolve(text: string): { readonly image: StoredImage; readonly name: StoredName | undefined } {
    const exact = isDigest(text) ? text : `${SHA256}${text}`;
    if (isDigest(exact)) return { image: this.get(exact, text), name: undefined };
    const reference = withDefaultTag(parseReference(text));
    const name = this.find(reference);
    if (name) return { image: this.get(name.image, text), name };
    return { image: this.byPrefix(text) ?? absent(text.startsWith(SHA256) ? text : familiar(reference)), name: undefined };
  }

  get(id: Digest, text: string = id): StoredImage {
    return this.images.get(id) ?? absent(text);
  }

  private byPrefix(text: string): StoredImage | undefined {
    const prefix = text.startsWith(SHA256) ? text.slice(SHA256.length) : text;
    if (!ID.test(prefix)) return undefined;
    const found = [...this.images.values()].filter(({ id }) => id.startsWith(prefix, SHA256.length));
    if (found.length > 1) throw new CodedError('invalid_argument', `multiple IDs found with provided prefix: ${text}`);
    return found[0];
  }
}

export function stackOf({ chainId, layers }: Pick<StoredImage, 'chainId' | 'layers'>): readonly Digest[] {
  return layers.length === 0 ? [chainId] : layers.map((layer) => layer.chainId);
}

export function blobsOf({ id, manifest, layers }: StoredImage): Digest[] {
  return [...new Set([id, manifest, ...layers.map((layer) => layer.blob)])];
}

/** A name with a digest is known by the digest alone: what it leads to never changes. */
export function nameOf(reference: ImageReference): string {
  const { domain, path, digest } = reference;
  return canonicalName(digest === undefined ? withDefaultTag(reference) : { domain, path, digest });
}

function familiar(reference: ImageReference): string {
  return familiarText(canonicalName(reference));
}

/** As people write a canonical name. */
export function familiarText(canonical: string): string {
  return canonical.replace(/^docker\.io\//, '').replace(/^library\/(?=[^/]+$)/, '');
}

function absent(text: string): never {
  throw new CodedError('not_found', `No such image: ${text}`, { image: text.slice(0, 300) });
}
