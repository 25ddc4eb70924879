import { asError, type Digest, type Logger } from '#kernel';
import type { ContentStore } from '../../content/index.js';
import type { Snapshotter } from '../../snapshots/index.js';
import type { ImageFiles, LoadedSpace } from './image-files.js';
import type { ImageIndex } from './image-index.js';
import { blobsOf, stackOf, type StoredImage } from './image-space.js';
import type { Layers } from './layers.js';

interface Store {
  readonly files: ImageFiles;
  readonly index: ImageIndex;
  readonly layers: Layers;
  readonly content: ContentStore;
  readonly snapshots: Snapshotter;
  readonly logger: Logger;
}

/** Fills the index from disk. An image of which a part is missing is left out: it would fail where it is used. */
export async function loadImages({ files, index, layers, content, snapshots, logger }: Store): Promise<void> {
  const blobs = new Set<Digest>();
  for await (const { digest } of content.list()) blobs.add(digest);
  const chains = new Set((await snapshots.list()).map(({ chainId }) => chainId));
  const isWhole = (image: StoredImage): boolean => blobsOf(image).every((blob) => blobs.has(blob)) && stackOf(image).every((chain) => chains.has(chain));
  const loaded = await files.load((path, error) => {
    logger.error({ path, err: asError(error) }, 'a file of the image store cannot be read');
  });
  for (const space of loaded) {
    for (const image of space.images) {
      if (isWhole(image)) {
        index.add(space.namespace, image);
        for (const { blob, diffId } of image.layers) layers.prove(blob, diffId);
      } else {
        logger.error({ namespace: space.namespace, image: image.id }, 'blobs or layers of an image are missing: it is left out');
      }
    }
    await loadNames(space, files, index);
  }
}

/** Names that lead nowhere go for good: they are what a crash left of a removal, and must not come back with the image. */
async function loadNames({ namespace, images, names }: LoadedSpace, files: ImageFiles, index: ImageIndex): Promise<void> {
  const known = new Set(images.map(({ id }) => id));
  const space = index.space(namespace);
  for (const name of names) if (space.images.has(name.image)) space.names.set(name.name, name);
  await files.removeNames(
    namespace,
    names.filter(({ image }) => !known.has(image)).map(({ name }) => name),
  );
}
