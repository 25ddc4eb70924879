import type { Digest, ImageReference } from '#kernel';
import type { Image, ImageConfig } from './images.js';

/**
 * A name space's images as Docker's clients know them: records by image ID, and names (tags and digests) that lead to them. A name space is a
 * tenant, or `system`. Blobs and unpacked layers are shared below by all; no answer tells whether another name space has something.
 *
 * Error messages are those of Docker's engine where its clients show or read them.
 */
export interface TenantImages {
  /**
   * Makes an image of what is in the content store: a manifest (OCI or Docker schema 2) whose config and layers are there, which the caller has
   * pinned. Unpacks the layers that are not unpacked yet, checks diffIDs, and writes the record. Idempotent by image ID.
   * @throws CodedError `invalid_argument` (document, foreign platform, layer count), `digest_mismatch`, `not_found` (a blob is missing), `quota_exceeded` (of the name space)
   */
  register(namespace: string, request: RegisterImage): Promise<ImageRecord>;
  /** Points a name at an image, taking it from another. @throws CodedError `not_found` */
  tag(namespace: string, target: Digest, name: ImageReference): Promise<void>;
  /**
   * By name (a missing tag is `latest`), by ID, by a unique prefix of the ID (with or without `sha256:`); a name wins over a prefix.
   * @throws CodedError `not_found` (`No such image: X`), `invalid_argument` (ambiguous prefix, bad grammar)
   */
  resolve(namespace: string, text: string): Promise<ImageRecord>;
  list(namespace: string): Promise<ImageRecord[]>;
  /** One entry a history row, topmost first, sizes of layers. */
  history(namespace: string, text: string): Promise<HistoryRow[]>;
  /**
   * Docker's rules for `rmi`: a name among several loses only the name; the last name (or an ID with at most one repository) removes the image, then untagged parents unless
   * `keepParents`; used by containers: refused without `force`, and by a running one always (`conflict: unable to …`).
   * @throws CodedError `not_found`, `conflict`
   */
  remove(namespace: string, text: string, options: { readonly force: boolean; readonly keepParents: boolean }): Promise<Removal[]>;
  /** Dangling ones, with `all` every one that no container uses. */
  prune(namespace: string, filter: { readonly all: boolean; readonly accepts?: (image: ImageRecord) => boolean }): Promise<{ readonly removals: Removal[]; readonly reclaimedBytes: number }>;
  /** Sums each layer once per name space. */
  usage(namespace: string): Promise<ImageUsage>;

  /**
   * Containers that hold an image, and the layers they stand on even when the image is gone. Not kept: `containers` says them again after a restart, before
   * the first `collectGarbage`. Idempotent; a new state (`running`) replaces the old. Says nothing of whether the image is there: hold it first, then
   * `resolve` its ID; what is found then stays.
   */
  hold(namespace: string, image: Digest, chainId: Digest | undefined, holder: ImageHolder): void;
  release(namespace: string, holderId: string): void;

  /** A one-layer image of a root file system tar (gzip, zstd or plain by its first bytes). */
  importTar(namespace: string, request: ImportTar): Promise<ImageRecord>;
  /**
   * An image on top of `base` (absent: of nothing) with one more layer, or only another config when there is no layer. The same request with the same
   * `created` and a layer of the same content gives the same image. @throws CodedError `not_found` (an image), `invalid_argument`, `quota_exceeded`
   */
  append(namespace: string, request: AppendLayer): Promise<ImageRecord>;

  /**
   * Removes every blob and unpacked layer that nothing needs. Cannot race any of the above, nor pulls and pushes that pin. To be called once at start, when
   * `containers` has said what it holds.
   */
  collectGarbage(): Promise<{ readonly blobs: number; readonly bytes: number; readonly layers: number }>;
  /** All of a name space, when its tenant is removed. Idempotent. */
  drop(namespace: string): Promise<void>;
}

export interface ImageHolder {
  readonly id: string;
  readonly running: boolean;
}

export interface RegisterImage {
  readonly manifest: Digest;
  /** Names to give it: tags move, a digest reference is added. */
  readonly names: readonly ImageReference[];
  /** The image it was made from here (commit, build). One that is here without any learns of it. */
  readonly parent?: Digest;
}

export interface ImageRecord extends Image {
  /** Canonical, sorted: `docker.io/library/busybox:latest`. */
  readonly tags: readonly string[];
  /** Canonical, sorted: `docker.io/library/busybox@sha256:…`. */
  readonly digests: readonly string[];
  readonly parent: Digest | undefined;
  /** The config's JSON as received. */
  readonly rawConfig: Readonly<Record<string, unknown>>;
  /** Of all its layers, unpacked. */
  readonly sizeBytes: number;
  /** Lowest first; the blob of each is the one that its manifest names. */
  readonly layers: readonly ImageLayer[];
  /** When it came here, and when a name was last given: milliseconds. */
  readonly addedAt: number;
  readonly taggedAt: number | undefined;
  /** Those that use it. */
  readonly containers: readonly string[];
}

export interface ImageLayer {
  /** Of the uncompressed tar. */
  readonly diffId: Digest;
  readonly chainId: Digest;
  /** The tar as stored: plain or compressed, as its descriptor in the manifest says. */
  readonly blob: Digest;
  readonly sizeBytes: number;
}

export interface HistoryRow {
  readonly id: Digest | undefined;
  readonly createdAt: string | undefined;
  readonly createdBy: string;
  readonly comment: string;
  readonly sizeBytes: number;
  readonly tags: readonly string[];
}

export type Removal = { readonly kind: 'untagged'; readonly name: string } | { readonly kind: 'deleted'; readonly id: Digest };

export interface ImageUsage {
  /** Each layer once. */
  readonly layersBytes: number;
  readonly images: readonly { readonly id: Digest; readonly sizeBytes: number; /** Of layers that other images of the name space have too. */ readonly sharedBytes: number; readonly containers: number }[];
}

export interface ImportTar {
  readonly tar: AsyncIterable<Uint8Array>;
  readonly name?: ImageReference;
  /** Absent: `Imported from -`. */
  readonly message?: string;
  /** Dockerfile instructions (`CMD ["x"]`, `ENV a=b` …). @see applyChanges */
  readonly changes: readonly string[];
  /** Absent: the node's. */
  readonly architecture?: string;
  /** What `changes` are applied to. */
  readonly config?: ImageConfig['config'];
  /** RFC 3339; absent: now. */
  readonly created?: string;
}

export interface AppendLayer {
  readonly base: Digest | undefined;
  readonly layer?: AsyncIterable<Uint8Array>;
  /** In the place of `layer`: one that an image of the name space has, counted from 0, as it is there. */
  readonly layerOf?: { readonly image: Digest; readonly index: number };
  readonly name?: ImageReference;
  readonly config: ImageConfig['config'];
  readonly author?: string;
  readonly comment?: string;
  readonly createdBy: string;
  /** Into the image's JSON beside `config`: Docker's `container` and `container_config`, members of one's own. */
  readonly extra?: Readonly<Record<string, unknown>>;
  /** RFC 3339; absent: now. */
  readonly created?: string;
}

/** `docker save` and `docker load`. */
export interface ImageArchives {
  /**
   * A tar with an OCI image layout and Docker's `manifest.json` and `repositories`, layers uncompressed. One name: that tag alone; an ID: no tags.
   * @throws CodedError `not_found` before the first byte
   */
  save(namespace: string, names: readonly string[]): AsyncIterable<Buffer>;
  /**
   * Archives of Docker (every version since 1.10), of OCI layouts (docker, skopeo, podman, umoci, buildx), compressed or not. Streams: memory does not rise with the archive.
   * @throws CodedError `invalid_argument`, `digest_mismatch`, `resource_exhausted`, `quota_exceeded`; then nothing of it is visible
   */
  load(namespace: string, archive: AsyncIterable<Uint8Array>, onProgress?: (progress: LoadProgress) => void): Promise<LoadedImage[]>;
}

export interface LoadProgress {
  readonly layer: Digest;
  readonly current: number;
  readonly total: number | undefined;
}

export interface LoadedImage {
  readonly id: Digest;
  /** Canonical; empty when the archive names none. */
  readonly tags: readonly string[];
}
