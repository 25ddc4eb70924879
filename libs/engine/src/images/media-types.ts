import { CodedError } from '#kernel';

/** OCI image-spec, media-types.md, and Docker's image manifest version 2, schema 2. */
export const MEDIA_TYPES = {
  index: 'application/vnd.oci.image.index.v1+json',
  manifest: 'application/vnd.oci.image.manifest.v1+json',
  config: 'application/vnd.oci.image.config.v1+json',
  layer: 'application/vnd.oci.image.layer.v1.tar',
  layerGzip: 'application/vnd.oci.image.layer.v1.tar+gzip',
  layerZstd: 'application/vnd.oci.image.layer.v1.tar+zstd',
  dockerIndex: 'application/vnd.docker.distribution.manifest.list.v2+json',
  dockerManifest: 'application/vnd.docker.distribution.manifest.v2+json',
  dockerConfig: 'application/vnd.docker.container.image.v1+json',
  dockerLayer: 'application/vnd.docker.image.rootfs.diff.tar',
  dockerLayerGzip: 'application/vnd.docker.image.rootfs.diff.tar.gzip',
  dockerLayerZstd: 'application/vnd.docker.image.rootfs.diff.tar.zstd',
} as const;

/** What a client says it takes when it asks for a manifest. */
export const ACCEPTED_MANIFEST_TYPES = [MEDIA_TYPES.index, MEDIA_TYPES.manifest, MEDIA_TYPES.dockerIndex, MEDIA_TYPES.dockerManifest] as const;

export type LayerCompression = 'none' | 'gzip' | 'zstd';

const LAYERS: Readonly<Record<string, LayerCompression>> = {
  [MEDIA_TYPES.layer]: 'none',
  [MEDIA_TYPES.layerGzip]: 'gzip',
  [MEDIA_TYPES.layerZstd]: 'zstd',
  [MEDIA_TYPES.dockerLayer]: 'none',
  [MEDIA_TYPES.dockerLayerGzip]: 'gzip',
  [MEDIA_TYPES.dockerLayerZstd]: 'zstd',
};

export function isManifestType(type: string): boolean {
  return type === MEDIA_TYPES.manifest || type === MEDIA_TYPES.dockerManifest;
}

export function isIndexType(type: string): boolean {
  return type === MEDIA_TYPES.index || type === MEDIA_TYPES.dockerIndex;
}

export function isConfigType(type: string): boolean {
  return type === MEDIA_TYPES.config || type === MEDIA_TYPES.dockerConfig;
}

/** @throws CodedError `invalid_argument` for a layer that may not be distributed, or anything that is no layer */
export function layerCompressionOf(mediaType: string): LayerCompression {
  const compression = Object.hasOwn(LAYERS, mediaType) ? LAYERS[mediaType] : undefined;
  if (compression !== undefined) return compression;
  const foreign = mediaType.includes('.nondistributable.') || mediaType.includes('.foreign.');
  throw new CodedError('invalid_argument', foreign ? 'layers that may not be distributed (foreign layers) are not taken' : `not a container image: a layer is of media type ${JSON.stringify(mediaType.slice(0, 100))}`);
}
