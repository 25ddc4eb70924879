import { CodedError, isDigest, type Digest } from '#kernel';
import { isConfigType, isIndexType, isManifestType, layerCompressionOf, MEDIA_TYPES } from './media-types.js';

/** No manifest, index or config may be larger; registries refuse more too. */
export const MAX_DOCUMENT_BYTES = 4 * 1024 * 1024;
/** As Docker's engine has it (moby, layer.maxLayerDepth, less the container's own). */
export const MAX_LAYERS = 127;
export const MAX_INDEX_ENTRIES = 1000;
/** JSON that is nested deeper cannot be written again without a deep stack. */
const MAX_NESTING = 64;

/** OCI image-spec, descriptor.md. */
export interface Descriptor {
  readonly mediaType: string;
  readonly digest: Digest;
  readonly size: number;
  readonly annotations?: Readonly<Record<string, string>>;
}

/** OCI image-spec, image-index.md, "platform". */
export interface Platform {
  readonly os: string;
  readonly architecture: string;
  readonly variant?: string;
}

export interface IndexEntry extends Descriptor {
  readonly platform?: Platform;
}

/** OCI image-spec, manifest.md, and Docker's schema 2, which is the same in other media types. */
export interface Manifest {
  readonly schemaVersion: 2;
  readonly mediaType: string;
  readonly config: Descriptor;
  /** Lowest first. */
  readonly layers: readonly Descriptor[];
  readonly annotations?: Readonly<Record<string, string>>;
}

/** OCI image-spec, image-index.md, and Docker's manifest list. */
export interface ImageIndex {
  readonly schemaVersion: 2;
  readonly mediaType: string;
  readonly manifests: readonly IndexEntry[];
}

/**
 * Which of the two a document is: by its own `mediaType`, else by the one it was served with, else by its fields.
 * @throws CodedError `unsupported` (Docker's schema 1), `invalid_argument` (neither, or both at once: GHSA-77vh-xpmg-72qh)
 */
export function documentKind(bytes: Uint8Array, servedAs?: string): 'manifest' | 'index' {
  const value = parseObject(bytes);
  if (value.schemaVersion === 1) throw new CodedError('unsupported', 'the image manifest is of the retired schema version 1');
  if (value.manifests !== undefined && (value.layers !== undefined || value.config !== undefined)) throw bad('a document is both an image manifest and an image index');
  for (const type of [value.mediaType, servedAs]) {
    if (typeof type !== 'string') continue;
    if (isManifestType(type)) return 'manifest';
    if (isIndexType(type)) return 'index';
  }
  if (Array.isArray(value.manifests)) return 'index';
  if (Array.isArray(value.layers)) return 'manifest';
  throw bad('a document is neither an image manifest nor an image index');
}

/** @throws CodedError `invalid_argument`, `unsupported` (schema 1) */
export function parseManifest(bytes: Uint8Array): Manifest {
  if (documentKind(bytes, MEDIA_TYPES.manifest) !== 'manifest') throw bad('an image index stands where a manifest was expected');
  const value = parseObject(bytes);
  const config = parseDescriptor(value.config, 'the config of an image manifest');
  if (!isConfigType(config.mediaType)) throw bad(`not a container image: its config is of media type ${quoted(config.mediaType)}`);
  const layers = parseArray(value.layers, 'the layers of an image manifest').map((layer, index) => parseDescriptor(layer, `layer ${index} of an image manifest`));
  if (layers.length > MAX_LAYERS) throw bad(`max depth exceeded: an image has ${layers.length} layers, at most ${MAX_LAYERS} are allowed`);
  for (const layer of layers) layerCompressionOf(layer.mediaType);
  const annotations = parseStrings(value.annotations, 'annotations of an image manifest');
  return { schemaVersion: 2, mediaType: typeof value.mediaType === 'string' ? value.mediaType : MEDIA_TYPES.manifest, config, layers, ...(annotations && { annotations }) };
}

/** @throws CodedError `invalid_argument`, `unsupported` (schema 1) */
export function parseIndex(bytes: Uint8Array): ImageIndex {
  if (documentKind(bytes, MEDIA_TYPES.index) !== 'index') throw bad('an image manifest stands where an index was expected');
  const value = parseObject(bytes);
  const entries = parseArray(value.manifests, 'the entries of an image index');
  if (entries.length > MAX_INDEX_ENTRIES) throw bad(`an image index has ${entries.length} entries, at most ${MAX_INDEX_ENTRIES} are allowed`);
  return { schemaVersion: 2, mediaType: typeof value.mediaType === 'string' ? value.mediaType : MEDIA_TYPES.index, manifests: entries.map(parseEntry) };
}

/** The JSON object that a document is. @throws CodedError `invalid_argument` (too large, not JSON, not an object, nested without end) */
export function parseObject(bytes: Uint8Array): Record<string, unknown> {
  if (bytes.byteLength > MAX_DOCUMENT_BYTES) throw bad(`an image document has ${bytes.byteLength} bytes, at most ${MAX_DOCUMENT_BYTES} are allowed`);
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch (error) {
    throw new CodedError('invalid_argument', 'an image document is not JSON', {}, { cause: error });
  }
  if (!isObject(value)) throw bad('an image document is not a JSON object');
  if (isDeeper(value, MAX_NESTING)) throw bad('an image document is nested too deep');
  return value;
}

/** @throws CodedError `invalid_argument` */
export function parseDescriptor(value: unknown, what: string): Descriptor {
  if (!isObject(value)) throw bad(`${what} is missing`);
  const { mediaType, digest, size } = value;
  if (typeof mediaType !== 'string' || mediaType.length > 255) throw bad(`${what} has no media type`);
  if (!isDigest(digest)) throw bad(`${what} has no sha256 digest`);
  if (typeof size !== 'number' || !Number.isSafeInteger(size) || size < 0) throw bad(`${what} has no size`);
  const annotations = parseStrings(value.annotations, `annotations of ${what}`);
  return { mediaType, digest, size, ...(annotations && { annotations }) };
}

function parseEntry(value: unknown, index: number): IndexEntry {
  const what = `entry ${index} of an image index`;
  const descriptor = parseDescriptor(value, what);
  const platform = (value as Record<string, unknown>).platform ?? undefined;
  if (platform === undefined) return descriptor;
  if (!isObject(platform) || typeof platform.os !== 'string' || typeof platform.architecture !== 'string') throw bad(`the platform of ${what} is malformed`);
  const variant = platform.variant ?? undefined;
  if (variant !== undefined && typeof variant !== 'string') throw bad(`the platform of ${what} is malformed`);
  return { ...descriptor, platform: { os: platform.os, architecture: platform.architecture, ...(variant === undefined || variant === '' ? {} : { variant }) } };
}

function parseArray(value: unknown, what: string): unknown[] {
  // Go writes a list without entries as null.
  if (value === null || value === undefined) return [];
  if (!Array.isArray(value)) throw bad(`${what} are not a list`);
  return value as unknown[];
}

/** A map of strings; undefined when there is none. @throws CodedError `invalid_argument` */
export function parseStrings(value: unknown, what: string): Readonly<Record<string, string>> | undefined {
  if (value === null || value === undefined) return undefined;
  if (!isObject(value) || !Object.values(value).every((text) => typeof text === 'string')) throw bad(`${what} are malformed`);
  return value as Record<string, string>;
}

export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Level by level: recursion is what the limit is to prevent. */
function isDeeper(root: object, limit: number): boolean {
  let level: object[] = [root];
  for (let depth = 1; level.length > 0; depth += 1) {
    if (depth > limit) return true;
    level = level.flatMap((value) => Object.values(value).filter((inner): inner is object => typeof inner === 'object' && inner !== null));
  }
  return false;
}

function quoted(text: string): string {
  return JSON.stringify(text.slice(0, 100));
}

function bad(message: string): CodedError {
  return new CodedError('invalid_argument', message);
}
