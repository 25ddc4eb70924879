import { CodedError, familiarName, isCodedError, parseReference, type ImageReference } from '#kernel';
import type { FsTenantImages } from './drivers/fs-tenant-images.js';
import type { Image, ImageConfig } from './images.js';

export interface ImportRequest {
  readonly namespace: string;
  readonly name: string;
  /** The uncompressed tar. */
  readonly tar: AsyncIterable<Uint8Array>;
  readonly config?: ImageConfig['config'];
  /** RFC 3339; default: now. */
  readonly created?: string;
  readonly comment?: string;
}

/** `TenantImages` as tests look at it that care for names alone: images made of whole root file systems. */
export class NamedImages {
  constructor(private readonly images: FsTenantImages) {}

  async importRootfs({ namespace, name, tar, config, created, comment }: ImportRequest): Promise<Image> {
    const record = await this.images.importTar(namespace, {
      tar,
      name: referenceOf(name),
      changes: [],
      ...(config === undefined ? {} : { config }),
      ...(created === undefined ? {} : { created }),
      ...(comment === undefined ? {} : { message: comment }),
    });
    return imageOf(record);
  }

  async get(namespace: string, name: string): Promise<Image> {
    const image = await this.images.find(namespace, referenceOf(name));
    if (!image) throw new CodedError('not_found', `No such image: ${name}`, { name });
    return imageOf(image);
  }

  async list(namespace: string): Promise<{ name: string; image: Image }[]> {
    const images = await this.images.list(namespace);
    const named = images.flatMap((image) => image.tags.map((tag) => ({ name: plainName(parseReference(tag)), image: imageOf(image) })));
    return named.sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  async remove(namespace: string, name: string): Promise<void> {
    const reference = referenceOf(name);
    try {
      await this.images.remove(namespace, familiarName({ ...reference, tag: reference.tag ?? 'latest' }), { force: true, keepParents: false });
    } catch (error) {
      if (!isCodedError(error, 'not_found')) throw error;
    }
  }

  async collectGarbage(): Promise<void> {
    await this.images.collectGarbage();
  }
}

/** @throws CodedError `invalid_argument` */
function referenceOf(name: string): ImageReference {
  const reference = parseReference(name);
  if (reference.digest !== undefined) throw new CodedError('invalid_argument', 'not an image name', { name: name.slice(0, 100) });
  return reference;
}

function imageOf({ id, manifest, config, chainId }: Image): Image {
  return { id, manifest, config, chainId };
}

function plainName(reference: ImageReference): string {
  return familiarName(reference).replace(/:latest$/, '');
}
