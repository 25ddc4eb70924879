import { CodedError, digestOf, type Clock, type Digest } from '#kernel';
import type { ContentStore } from '../../content/index.js';
import { peeked } from '../compression.js';
import { MAX_DOCUMENT_BYTES, MAX_LAYERS, parseManifest, type Descriptor, type Manifest } from '../documents.js';
import { wholeHistory } from '../image-config.js';
import type { ImageConfig, ImageHistoryEntry } from '../images.js';
import { layerCompressionOf, MEDIA_TYPES } from '../media-types.js';
import { ociArchitecture } from '../platforms.js';
import type { ConfigCache } from './config-cache.js';
import { EMPTY_DIFF_ID, EMPTY_TAR } from './empty-layer.js';
import { planLayers, type ImagePlan } from './image-documents.js';
import type { StoredImage } from './image-space.js';
import type { Layers } from './layers.js';
import type { Making } from './making.js';

const LAYER_TYPES = { none: MEDIA_TYPES.layer, gzip: MEDIA_TYPES.layerGzip, zstd: MEDIA_TYPES.layerZstd } as const;

export interface NewImage {
  /** Pinned by the caller. */
  readonly base: StoredImage | undefined;
  /** An uncompressed tar. */
  readonly layer?: AsyncIterable<Uint8Array>;
  /** In its place. The image is pinned by the caller. */
  readonly layerOf?: { readonly image: StoredImage; readonly index: number };
  readonly config: ImageConfig['config'];
  readonly author?: string;
  readonly comment?: string;
  readonly createdBy?: string;
  readonly extra?: Readonly<Record<string, unknown>>;
  /** Without a base; absent: the node's. */
  readonly architecture?: string;
  /** RFC 3339; absent: now. */
  readonly created?: string;
  readonly maxBytes: number;
}

interface TopLayer {
  readonly diffId: Digest;
  readonly descriptor: Descriptor;
}

/** Makes the documents and the layer of images that come into being here. */
export class ImageMaker {
  constructor(
    private readonly content: ContentStore,
    private readonly layers: Layers,
    private readonly configs: ConfigCache,
    private readonly clock: Clock,
  ) {}

  /** Unpacked, stored and pinned; the same request with the same `created` gives the same image. */
  async make(request: NewImage, making: Making): Promise<ImagePlan> {
    const below = await this.below(request.base);
    if ((request.layer ?? request.layerOf) && below.manifest.length >= MAX_LAYERS) throw new CodedError('invalid_argument', `max depth exceeded: an image may have ${MAX_LAYERS} layers`);
    const layer = request.layerOf ? await this.layerOf(request.layerOf) : request.layer && (await this.storeLayer(request.layer, request, making));
    const config = this.describe(request, below.config, layer);
    const configBytes = Buffer.from(JSON.stringify(config));
    const manifest: Manifest = {
      schemaVersion: 2,
      mediaType: MEDIA_TYPES.manifest,
      config: { mediaType: MEDIA_TYPES.config, digest: digestOf(configBytes), size: configBytes.byteLength },
      layers: [...below.manifest, ...(layer ? [layer.descriptor] : [])],
    };
    const manifestBytes = Buffer.from(JSON.stringify(manifest));
    // Checks it as any other: what came from a client (`config`, `extra`) must not make an image that cannot be read.
    this.configs.put(manifest.config.digest, configBytes);
    const digests = [manifest.config.digest, digestOf(manifestBytes)] as const;
    await making.pinBlobs(digests);
    await Promise.all([this.content.write(once(configBytes), digests[0]), this.content.write(once(manifestBytes), digests[1])]);
    const layers = planLayers(
      config.rootfs.diff_ids,
      manifest.layers.map(({ digest }) => digest),
    );
    const chainId = layers.at(-1)?.chainId ?? EMPTY_DIFF_ID;
    if (request.layerOf) await making.pinChains([chainId]);
    return { id: digests[0], manifest: digests[1], layers, chainId };
  }

  private async below(base: StoredImage | undefined): Promise<{ readonly config: ImageConfig | undefined; readonly manifest: readonly Descriptor[] }> {
    if (!base) return { config: undefined, manifest: [] };
    const { config } = await this.configs.get(base.id);
    return { config, manifest: await this.descriptorsOf(base) };
  }

  private async descriptorsOf({ manifest }: StoredImage): Promise<readonly Descriptor[]> {
    const { layers } = parseManifest(await this.content.read(manifest, MAX_DOCUMENT_BYTES));
    return layers.map(({ mediaType, digest, size }) => ({ mediaType: LAYER_TYPES[layerCompressionOf(mediaType)], digest, size }));
  }

  private async layerOf({ image, index }: { readonly image: StoredImage; readonly index: number }): Promise<TopLayer> {
    const descriptor = (await this.descriptorsOf(image))[index];
    const layer = image.layers[index];
    if (descriptor === undefined || layer === undefined) throw new CodedError('invalid_argument', `the image ${image.id} has no layer ${index}`);
    return { diffId: layer.diffId, descriptor };
  }

  /** undefined: nothing is in it, which is no layer. */
  private async storeLayer(tar: AsyncIterable<Uint8Array>, { base, maxBytes }: NewImage, making: Making): Promise<TopLayer | undefined> {
    const { head, source } = await peeked(tar, EMPTY_TAR.length + 1);
    const parent = base?.layers.at(-1)?.chainId;
    if (head.equals(EMPTY_TAR)) return this.noLayer(parent, making);
    const pins = { blobs: await making.blobPin(), chains: await making.chainPin() };
    const { snapshot, blob } = await this.layers.store(source, parent, pins, maxBytes);
    if (snapshot.diffId === EMPTY_DIFF_ID) return this.noLayer(parent, making);
    return { diffId: snapshot.diffId, descriptor: { mediaType: MEDIA_TYPES.layerZstd, digest: blob.digest, size: blob.size } };
  }

  /** Where there is none below either, the image stands on the empty one. */
  private async noLayer(parent: Digest | undefined, making: Making): Promise<undefined> {
    if (parent === undefined) await making.pinChains([EMPTY_DIFF_ID]);
    return undefined;
  }

  /** The fields stand in one order, so that equal configs are equal bytes. */
  private describe(request: NewImage, base: ImageConfig | undefined, layer: TopLayer | undefined): ImageConfig {
    const created = request.created ?? new Date(this.clock.now()).toISOString();
    const { author, comment, createdBy } = request;
    const entry: ImageHistoryEntry = {
      created,
      ...(createdBy === undefined ? {} : { created_by: createdBy }),
      ...(author === undefined || author === '' ? {} : { author }),
      ...(comment === undefined || comment === '' ? {} : { comment }),
      ...(layer ? {} : { empty_layer: true }),
    };
    return {
      ...request.extra,
      created,
      ...(author === undefined || author === '' ? {} : { author }),
      architecture: base?.architecture ?? request.architecture ?? ociArchitecture(),
      ...(base?.variant === undefined ? {} : { variant: base.variant }),
      os: base?.os ?? 'linux',
      config: sorted(request.config),
      rootfs: { type: 'layers', diff_ids: [...(base?.rootfs.diff_ids ?? []), ...(layer ? [layer.diffId] : [])] },
      history: [...wholeHistory(base), entry],
    };
  }
}

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array, void, void> {
  await Promise.resolve();
  yield bytes;
}

function sorted(config: ImageConfig['config']): ImageConfig['config'] {
  return Object.fromEntries(Object.entries(config).sort(([a], [b]) => (a < b ? -1 : 1)));
}
