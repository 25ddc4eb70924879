import { CodedError, isCodedError, type Digest } from '#kernel';
import type { ContentStore } from '../../content/index.js';
import { chainIdOf } from '../../snapshots/index.js';
import { MAX_DOCUMENT_BYTES, parseManifest, type Manifest } from '../documents.js';
import { parseImageConfig } from '../image-config.js';
import type { ImageConfig } from '../images.js';
import type { ImageLayer } from '../tenant-images.js';
import { EMPTY_DIFF_ID } from './empty-layer.js';
import type { Making } from './making.js';

export type PlannedLayer = Omit<ImageLayer, 'sizeBytes'>;

/** An image that is about to be. */
export interface ImagePlan {
  readonly id: Digest;
  readonly manifest: Digest;
  readonly chainId: Digest;
  readonly layers: readonly (PlannedLayer & { readonly sizeBytes: number })[];
}

/**
 * Reads an image's documents, pins all that they name, and checks that it is there and fits together.
 * @throws CodedError `not_found`, `invalid_argument`, `digest_mismatch`
 */
export async function readImageDocuments(content: ContentStore, digest: Digest, making: Making): Promise<ImagePlan> {
  const manifest = parseManifest(await readDocument(content, digest, 'manifest'));
  await making.pinBlobs([manifest.config.digest, ...manifest.layers.map((layer) => layer.digest)]);
  await checkBlobs(content, manifest);
  const config = parseImageConfig(await readDocument(content, manifest.config.digest, 'config'));
  return { id: manifest.config.digest, manifest: digest, ...stack(config, manifest) };
}

/** @throws CodedError `invalid_argument` */
function stack({ os, rootfs }: ImageConfig, manifest: Manifest): Pick<ImagePlan, 'layers' | 'chainId'> {
  if (os !== 'linux' && os !== '') throw new CodedError('invalid_argument', `image operating system ${JSON.stringify(os.slice(0, 50))} cannot be used on this platform`);
  if (rootfs.diff_ids.length !== manifest.layers.length) {
    throw new CodedError('invalid_argument', `invalid image: its config has ${rootfs.diff_ids.length} layers, its manifest ${manifest.layers.length}`);
  }
  const layers = planLayers(
    rootfs.diff_ids,
    manifest.layers.map((layer) => layer.digest),
  );
  return { layers, chainId: layers.at(-1)?.chainId ?? EMPTY_DIFF_ID };
}

export function planLayers(diffIds: readonly Digest[], blobs: readonly Digest[]): ImagePlan['layers'] {
  const layers: (PlannedLayer & { sizeBytes: number })[] = [];
  for (const [place, diffId] of diffIds.entries()) {
    const blob = blobs[place];
    if (blob === undefined) throw new CodedError('internal', 'a layer without a blob');
    layers.push({ diffId, chainId: chainIdOf(layers.at(-1)?.chainId, diffId), blob, sizeBytes: 0 });
  }
  return layers;
}

async function checkBlobs(content: ContentStore, { config, layers }: Manifest): Promise<void> {
  for (const descriptor of [config, ...layers]) {
    const blob = await content.stat(descriptor.digest);
    if (!blob) throw new CodedError('not_found', `the image's manifest names a blob that is missing: ${descriptor.digest}`, { digest: descriptor.digest });
    if (blob.size !== descriptor.size) {
      throw new CodedError('invalid_argument', `the image's manifest gives ${descriptor.digest} a size of ${descriptor.size} bytes; it has ${blob.size}`, { digest: descriptor.digest });
    }
  }
}

async function readDocument(content: ContentStore, digest: Digest, what: string): Promise<Buffer> {
  try {
    return await content.read(digest, MAX_DOCUMENT_BYTES);
  } catch (error) {
    if (isCodedError(error, 'payload_too_large')) throw new CodedError('invalid_argument', `an image ${what} may have at most ${MAX_DOCUMENT_BYTES} bytes`, {}, { cause: error });
    throw error;
  }
}
