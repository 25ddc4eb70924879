import { canonicalName, digestHex, digestOf, familiarName, familiarRepository, type Digest, type ImageReference } from '#kernel';
import type { ContentStore } from '../../content/index.js';
import { writeTar, type TarEntryInput } from '../../tar/index.js';
import { parseManifest, type Descriptor } from '../documents.js';
import { decompressed } from '../drivers/decompress.js';
import { MEDIA_TYPES, layerCompressionOf } from '../media-types.js';
import type { ImageRecord } from '../tenant-images.js';

/** An image to be saved, with the tags to be saved with it. */
export interface SavedImage {
  readonly image: ImageRecord;
  readonly tags: readonly ImageReference[];
}

interface SavedLayer {
  readonly diffId: Digest;
  readonly blob: Descriptor;
}

/** The plain sizes of compressed layers, so that saving again need not count again. */
export type PlainSizes = Map<Digest, number>;

const MAX_SIZES = 10_000;
const ENTRY = { uid: 0, gid: 0, mtimeNs: 0n } as const;

/**
 * An OCI image layout with Docker's `manifest.json` and `repositories`, documents first, layers as plain tars: what every version of Docker, skopeo,
 * podman and umoci reads. The same images make the same bytes.
 */
export async function* writeArchive(content: ContentStore, images: readonly SavedImage[], sizes: PlainSizes): AsyncGenerator<Buffer, void, void> {
  const layers = new Map<Digest, SavedLayer>();
  const documents = new Map<Digest, Buffer>();
  const index: object[] = [];
  const docker: object[] = [];
  // Without a prototype: `constructor` is a name of a repository, `__proto__` one of a tag.
  const repositories = Object.create(null) as Record<string, Record<string, string>>;
  for (const { image, tags } of images) {
    const own = await layersOf(content, image);
    for (const layer of own) layers.set(layer.diffId, layer);
    const config = await content.read(image.id);
    documents.set(image.id, config);
    const manifest = Buffer.from(
      JSON.stringify({
        schemaVersion: 2,
        mediaType: MEDIA_TYPES.manifest,
        config: { mediaType: MEDIA_TYPES.config, digest: image.id, size: config.length },
        layers: await Promise.all(own.map(async (layer) => ({ mediaType: MEDIA_TYPES.layer, digest: layer.diffId, size: await plainSize(content, layer, sizes) }))),
      }),
    );
    const digest = digestOf(manifest);
    documents.set(digest, manifest);
    const platform = { architecture: image.config.architecture, os: image.config.os, ...(image.config.variant === undefined ? {} : { variant: image.config.variant }) };
    const entry = { mediaType: MEDIA_TYPES.manifest, digest, size: manifest.length, platform };
    if (tags.length === 0) index.push(entry);
    for (const tag of tags) index.push({ ...entry, annotations: { 'io.containerd.image.name': canonicalName(tag), 'org.opencontainers.image.ref.name': tag.tag ?? '' } });
    docker.push({ Config: blobPath(image.id), RepoTags: tags.length === 0 ? null : tags.map(familiarName), Layers: own.map(({ diffId }) => blobPath(diffId)) });
    const top = own.at(-1);
    for (const tag of tags) if (top !== undefined && tag.tag !== undefined) (repositories[familiarRepository(tag)] ??= Object.create(null) as Record<string, string>)[tag.tag] = digestHex(top.diffId);
  }
  yield* writeTar(
    (async function* (): AsyncGenerator<TarEntryInput, void, void> {
      for (const path of ['blobs/', 'blobs/sha256/']) yield { ...ENTRY, path, type: 'directory', mode: 0o755 };
      yield file('oci-layout', Buffer.from('{"imageLayoutVersion":"1.0.0"}'));
      yield file('index.json', Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: MEDIA_TYPES.index, manifests: index })));
      yield file('manifest.json', Buffer.from(JSON.stringify(docker)));
      if (Object.keys(repositories).length > 0) yield file('repositories', Buffer.from(JSON.stringify(repositories)));
      for (const [digest, bytes] of [...documents].sort(byDigest)) yield file(blobPath(digest), bytes);
      for (const [diffId, layer] of [...layers].sort(byDigest)) {
        yield { ...ENTRY, path: blobPath(diffId), type: 'file', mode: 0o644, size: await plainSize(content, layer, sizes), content: await plain(content, layer) };
      }
    })(),
  );
}

async function layersOf(content: ContentStore, image: ImageRecord): Promise<SavedLayer[]> {
  const { layers } = parseManifest(await content.read(image.manifest));
  return image.config.rootfs.diff_ids.map((diffId, index) => ({ diffId, blob: layers[index] as Descriptor }));
}

async function plain(content: ContentStore, { blob }: SavedLayer): Promise<AsyncIterable<Uint8Array>> {
  return decompressed(await content.open(blob.digest));
}

/** A tar says a file's size before its bytes. */
async function plainSize(content: ContentStore, layer: SavedLayer, sizes: PlainSizes): Promise<number> {
  if (layer.blob.digest === layer.diffId || layerCompressionOf(layer.blob.mediaType) === 'none') return layer.blob.size;
  const known = sizes.get(layer.diffId);
  if (known !== undefined) return known;
  let size = 0;
  for await (const chunk of await plain(content, layer)) size += chunk.byteLength;
  if (sizes.size >= MAX_SIZES) sizes.clear();
  sizes.set(layer.diffId, size);
  return size;
}

function file(path: string, bytes: Buffer): TarEntryInput {
  return { ...ENTRY, path, type: 'file', mode: 0o644, size: bytes.length, content: [bytes] };
}

function blobPath(digest: Digest): string {
  return `blobs/sha256/${digestHex(digest)}`;
}

function byDigest([a]: readonly [Digest, unknown], [b]: readonly [Digest, unknown]): number {
  return a < b ? -1 : 1;
}
