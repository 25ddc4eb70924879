import { CodedError, isDigest, type Digest } from '#kernel';
import type { ImageConfig } from '../images.js';

/** OCI image-spec, media-types.md. */
export const MEDIA_TYPES = {
  manifest: 'application/vnd.oci.image.manifest.v1+json',
  config: 'application/vnd.oci.image.config.v1+json',
  layerZstd: 'application/vnd.oci.image.layer.v1.tar+zstd',
} as const;

/** OCI image-spec, descriptor.md. */
export interface Descriptor {
  readonly mediaType: string;
  readonly digest: Digest;
  readonly size: number;
}

/** OCI image-spec, manifest.md. */
export interface Manifest {
  readonly schemaVersion: 2;
  readonly mediaType: string;
  readonly config: Descriptor;
  readonly layers: readonly Descriptor[];
}

/** @throws CodedError `internal`: it was verified against its digest, so we wrote it wrong */
export function parseManifest(bytes: Buffer): Manifest {
  const value = parseObject(bytes);
  if (!isDescriptor(value.config) || !Array.isArray(value.layers) || !value.layers.every(isDescriptor)) throw malformed('manifest');
  return { schemaVersion: 2, mediaType: MEDIA_TYPES.manifest, config: value.config, layers: value.layers };
}

/** @throws CodedError `internal` */
export function parseImageConfig(bytes: Buffer): ImageConfig {
  const value = parseObject(bytes);
  const rootfs = value.rootfs;
  if (!isObject(rootfs) || !Array.isArray(rootfs.diff_ids) || !rootfs.diff_ids.every(isDigest)) throw malformed('config');
  if (typeof value.architecture !== 'string' || typeof value.os !== 'string' || !isObject(value.config)) throw malformed('config');
  return value as unknown as ImageConfig;
}

/** The architecture of this machine in GOARCH words, which image configs use. */
export function ociArchitecture(arch: string = process.arch): string {
  const words: Readonly<Record<string, string>> = { x64: 'amd64', ia32: '386' };
  return words[arch] ?? arch;
}

function parseObject(bytes: Buffer): Record<string, unknown> {
  const value: unknown = JSON.parse(bytes.toString());
  if (!isObject(value)) throw malformed('document');
  return value;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isDescriptor(value: unknown): value is Descriptor {
  return isObject(value) && typeof value.mediaType === 'string' && isDigest(value.digest) && typeof value.size === 'number';
}

function malformed(what: string): CodedError {
  return new CodedError('internal', `a stored image ${what} is malformed`);
}
