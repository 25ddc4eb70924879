import { CodedError, isDigest, parseReference, type Digest, type ImageReference } from '#kernel';
import type { ContentStore, Pin } from '../../content/index.js';
import { documentKind, isObject, parseIndex, parseManifest, type Descriptor, type IndexEntry } from '../documents.js';
import { MEDIA_TYPES, type LayerCompression } from '../media-types.js';
import { hostPlatform, selectPlatform } from '../platforms.js';
import type { StoredFile, StoredFiles } from './stored-files.js';

/** One image of an archive: its manifest is in the content store. */
export interface ArchivedImage {
  readonly manifest: Digest;
  readonly names: readonly ImageReference[];
}

const MAX_IMAGES = 1000;
const MAX_NAMES = 1000;
/** An index may lead to an index, and to no third. */
const MAX_INDEX_DEPTH = 3;
const NAME_ANNOTATIONS = ['io.containerd.image.name', 'org.opencontainers.image.ref.name'] as const;
const LAYER_TYPES: Readonly<Record<LayerCompression, string>> = { none: MEDIA_TYPES.layer, gzip: MEDIA_TYPES.layerGzip, zstd: MEDIA_TYPES.layerZstd };

/**
 * The images of an archive: by Docker's `manifest.json` where there is one (every `docker save` since 1.10, skopeo, podman), else by the `index.json` of
 * an OCI image layout.
 * @throws CodedError `invalid_argument`, `not_found` never: what an archive names and does not hold makes it invalid
 */
export async function readArchiveIndex(files: StoredFiles, content: ContentStore, pin: Pin): Promise<ArchivedImage[]> {
  const images = files.has('manifest.json') ? await fromDockerManifest(files, content, pin) : await fromLayout(files, content, pin);
  if (images.length === 0) throw bad('it holds no image');
  if (images.length > MAX_IMAGES) throw bad(`it holds ${images.length} images, at most ${MAX_IMAGES} are allowed`);
  return images;
}

async function fromDockerManifest(files: StoredFiles, content: ContentStore, pin: Pin): Promise<ArchivedImage[]> {
  const list = parseJson(await files.read('manifest.json'), 'manifest.json');
  if (!Array.isArray(list)) throw bad('its manifest.json is not a list');
  const images: ArchivedImage[] = [];
  for (const item of list as unknown[]) {
    if (!isObject(item) || typeof item.Config !== 'string') throw bad('its manifest.json names no config');
    const config = files.get(item.Config);
    const layers = strings(item.Layers, 'Layers').map((path) => files.get(path));
    images.push({ manifest: await writeManifest(config, layers, content, pin), names: strings(item.RepoTags, 'RepoTags').map((name) => tagged(name)) });
  }
  return images;
}

async function writeManifest(config: Pick<StoredFile, 'digest' | 'size'>, layers: readonly StoredFile[], content: ContentStore, pin: Pin): Promise<Digest> {
  const manifest = {
    schemaVersion: 2,
    mediaType: MEDIA_TYPES.manifest,
    config: { mediaType: MEDIA_TYPES.config, digest: config.digest, size: config.size },
    layers: layers.map(layerDescriptor),
  };
  return (await content.write(once(Buffer.from(JSON.stringify(manifest))), undefined, pin)).digest;
}

async function fromLayout(files: StoredFiles, content: ContentStore, pin: Pin): Promise<ArchivedImage[]> {
  if (!files.has('index.json')) throw bad('it holds neither a manifest.json nor an index.json');
  const byManifest = new Map<Digest, ImageReference[]>();
  for (const entry of parseIndex(await files.read('index.json')).manifests) {
    if (entry.platform?.os === 'unknown') continue;
    const manifest = await manifestOf(entry, { files, content, pin }, 1);
    byManifest.set(manifest, [...(byManifest.get(manifest) ?? []), ...namesOf(entry)]);
  }
  return [...byManifest].map(([manifest, names]) => ({ manifest, names: distinct(names) }));
}

interface Layout {
  readonly files: StoredFiles;
  readonly content: ContentStore;
  readonly pin: Pin;
}

/** Follows indexes to the manifest for this machine, and sees that what it names is there. One whose layers are kept as other blobs is written anew. */
async function manifestOf(descriptor: Descriptor, layout: Layout, depth: number): Promise<Digest> {
  const { files, content, pin } = layout;
  const bytes = await content.read(files.get(blobPath(descriptor.digest)).digest);
  if (documentKind(bytes, descriptor.mediaType) === 'index') {
    if (depth === MAX_INDEX_DEPTH) throw bad('its indexes lead to indexes without end');
    return manifestOf(selectPlatform(parseIndex(bytes), hostPlatform()), layout, depth + 1);
  }
  const { config, layers } = parseManifest(bytes);
  files.get(blobPath(config.digest));
  const stored = layers.map(({ digest }) => files.get(blobPath(digest)));
  if (stored.every(({ digest }, place) => digest === layers[place]?.digest)) return descriptor.digest;
  return writeManifest(config, stored, content, pin);
}

/** Some tools give the whole name, some only a tag, which names nothing without a repository. */
function namesOf({ annotations = {} }: IndexEntry): ImageReference[] {
  for (const key of NAME_ANNOTATIONS) {
    const text = annotations[key];
    if (text === undefined || !/[/:]/.test(text)) continue;
    try {
      return [tagged(text)];
    } catch {
      // A reference name may be any text (image-spec, annotations.md).
    }
  }
  return [];
}

function tagged(name: string): ImageReference {
  const { domain, path, tag } = parseReference(name);
  if (tag === undefined) throw bad(`${JSON.stringify(name.slice(0, 200))} names no tag`);
  return { domain, path, tag };
}

function layerDescriptor({ digest, size, compression }: StoredFile): Descriptor {
  return { mediaType: LAYER_TYPES[compression], digest, size };
}

function blobPath(digest: Digest): string {
  if (!isDigest(digest)) throw bad('a descriptor has no sha256 digest');
  return `blobs/sha256/${digest.slice('sha256:'.length)}`;
}

function distinct(names: readonly ImageReference[]): ImageReference[] {
  return [...new Map(names.map((name) => [JSON.stringify(name), name])).values()];
}

function strings(value: unknown, what: string): string[] {
  if (value === null || value === undefined) return [];
  if (!Array.isArray(value) || value.length > MAX_NAMES || !value.every((text): text is string => typeof text === 'string')) throw bad(`the ${what} of its manifest.json are malformed`);
  return value;
}

function parseJson(bytes: Buffer, path: string): unknown {
  try {
    return JSON.parse(bytes.toString('utf8'));
  } catch (error) {
    throw new CodedError('invalid_argument', `invalid archive: its ${path} is not JSON`, {}, { cause: error });
  }
}

async function* once(bytes: Buffer): AsyncGenerator<Uint8Array, void, void> {
  yield await Promise.resolve(bytes);
}

function bad(what: string): CodedError {
  return new CodedError('invalid_argument', `invalid archive: ${what}`);
}
