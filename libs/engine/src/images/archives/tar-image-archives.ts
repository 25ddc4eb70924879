import { canonicalName, isCodedError, parseReference, repositoryOf, type Digest, type ImageReference } from '#kernel';
import type { ContentStore } from '../../content/index.js';
import { parseManifest } from '../documents.js';
import { decompressed } from '../drivers/decompress.js';
import type { ImageArchives, ImageRecord, LoadedImage, LoadProgress, TenantImages } from '../tenant-images.js';
import { readArchiveIndex, type ArchivedImage } from './archive-index.js';
import { writeArchive, type PlainSizes, type SavedImage } from './archive-writer.js';
import { StoredFiles } from './stored-files.js';

export interface TarImageArchivesOptions {
  readonly content: ContentStore;
  readonly images: TenantImages;
  /** What an archive of that name space may hold at most, bytes. */
  readonly quotaBytesOf?: (namespace: string) => number | undefined;
}

/** `docker save` and `docker load` over the content store. */
export class TarImageArchives implements ImageArchives {
  private readonly sizes: PlainSizes = new Map();

  constructor(private readonly options: TarImageArchivesOptions) {}

  async *save(namespace: string, names: readonly string[]): AsyncGenerator<Buffer, void, void> {
    const images = await this.chosen(namespace, names);
    // An image that is removed meanwhile is saved to the end.
    const pin = await this.options.content.pin(await this.blobsOf(images));
    try {
      yield* writeArchive(this.options.content, images, this.sizes);
    } finally {
      pin.release();
    }
  }

  async load(namespace: string, archive: AsyncIterable<Uint8Array>, onProgress?: (progress: LoadProgress) => void): Promise<LoadedImage[]> {
    const { content, images, quotaBytesOf } = this.options;
    const before = new Set((await images.list(namespace)).map(({ id }) => id));
    const pin = await content.pin([]);
    let stored: StoredFiles | undefined;
    try {
      stored = await StoredFiles.read(decompressed(archive), { content, pin, maxBytes: quotaBytesOf?.(namespace), onProgress });
      const found = await readArchiveIndex(stored, content, pin);
      return await this.register(namespace, found, before);
    } finally {
      pin.release();
      // Documents of the archive's own, and everything when it failed.
      await images.collectGarbage();
    }
  }

  /** All images or none: names are given when every image is there. */
  private async register(namespace: string, found: readonly ArchivedImage[], before: ReadonlySet<Digest>): Promise<LoadedImage[]> {
    const { images } = this.options;
    const loaded: { id: Digest; names: readonly ImageReference[] }[] = [];
    try {
      for (const { manifest, names } of found) loaded.push({ id: (await images.register(namespace, { manifest, names: [] })).id, names });
      for (const { id, names } of loaded) for (const name of names) await images.tag(namespace, id, name);
    } catch (error) {
      for (const { id } of loaded) if (!before.has(id)) await this.discard(namespace, id);
      throw error;
    }
    return loaded.map(({ id, names }) => ({ id, tags: names.map(canonicalName) }));
  }

  private async discard(namespace: string, id: Digest): Promise<void> {
    try {
      await this.options.images.remove(namespace, id, { force: true, keepParents: true });
    } catch (error) {
      // A container of it was made meanwhile, or somebody removed it: it is theirs now.
      if (!isCodedError(error, 'conflict') && !isCodedError(error, 'not_found')) throw error;
    }
  }

  /** As Docker: a repository without a tag means all its tags, an ID no tag at all; an image that is named twice stands once. */
  private async chosen(namespace: string, names: readonly string[]): Promise<SavedImage[]> {
    const byId = new Map<Digest, { image: ImageRecord; tags: Map<string, ImageReference> }>();
    const add = (image: ImageRecord, tags: readonly ImageReference[]): void => {
      const entry = byId.get(image.id) ?? { image, tags: new Map<string, ImageReference>() };
      for (const tag of tags) entry.tags.set(canonicalName(tag), tag);
      byId.set(image.id, entry);
    };
    for (const name of names) {
      const tagged = await this.ofRepository(namespace, name);
      for (const { image, tag } of tagged) add(image, [tag]);
      if (tagged.length > 0) continue;
      const image = await this.options.images.resolve(namespace, name);
      add(image, tagOf(image, name));
    }
    return [...byId.values()].map(({ image, tags }) => ({ image, tags: [...tags.values()] }));
  }

  private async ofRepository(namespace: string, name: string): Promise<{ image: ImageRecord; tag: ImageReference }[]> {
    const wanted = referenceOf(name);
    if (wanted === undefined || wanted.tag !== undefined || wanted.digest !== undefined) return [];
    const repository = repositoryOf(wanted);
    return (await this.options.images.list(namespace)).flatMap((image) =>
      image.tags
        .map((tag) => parseReference(tag))
        .filter((tag) => repositoryOf(tag) === repository)
        .map((tag) => ({ image, tag })),
    );
  }

  private async blobsOf(images: readonly SavedImage[]): Promise<Digest[]> {
    const digests: Digest[] = [];
    for (const { image } of images) {
      const { layers } = parseManifest(await this.options.content.read(image.manifest));
      digests.push(image.id, image.manifest, ...layers.map(({ digest }) => digest));
    }
    return digests;
  }
}

function tagOf(image: ImageRecord, name: string): ImageReference[] {
  const reference = referenceOf(name);
  return reference?.tag !== undefined && image.tags.includes(canonicalName(reference)) ? [reference] : [];
}

function referenceOf(name: string): ImageReference | undefined {
  try {
    return parseReference(name);
  } catch {
    return undefined;
  }
}
