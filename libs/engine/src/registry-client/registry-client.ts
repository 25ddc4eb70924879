import type { Digest, ImageReference } from '#kernel';

/** Of one registry host, as `docker login` sends it. Never logged, never kept. */
export interface RegistryAuth {
  readonly username?: string;
  readonly password?: string;
  /** Instead of a password. */
  readonly identityToken?: string;
  readonly registryToken?: string;
}

/** What the operator allows. Tenants name registries freely, so every address a name resolves to is checked when it is dialled. */
export interface RegistryPolicy {
  /** `host[:port]` that may be spoken to in plain HTTP or with any certificate, and may have a private address. */
  readonly insecure: readonly string[];
  /** Base URLs that are asked first for what is docker.io's. */
  readonly mirrors: readonly string[];
  /** `host[:port]` with a private address that may be spoken to all the same (TLS). */
  readonly privateHosts: readonly string[];
}

/** Moves images between registries and a name space. */
export interface ImageTransfers {
  /**
   * Parallel (3 layers at a time), resumable (partial blobs are kept), verified; layers that are here are not fetched; retries with back-off (429, 5xx, dropped or stalled connections; Retry-After).
   * `system`'s image of that name stands in when the registry cannot be reached and it is docker.io's.
   * @throws CodedError `not_found` (manifest unknown), `unauthenticated`, `permission_denied` (pull access denied …), `unavailable`, `digest_mismatch`, `invalid_argument`, `unsupported` (no manifest for the platform, schema 1),
   * `quota_exceeded`, `resource_exhausted`, `cancelled`
   */
  pull(request: PullRequest): Promise<PullResult>;
  /** Every tag of a repository. */
  listTags(reference: ImageReference, auth: RegistryAuth | undefined, signal: AbortSignal): Promise<string[]>;
  /** Blobs the registry has are not sent; blobs are mounted from repositories of the same registry where it does that. */
  push(request: PushRequest): Promise<PushResult>;
  /** Checks a login. @throws CodedError `unauthenticated`, `unavailable`, `invalid_argument` */
  login(serverAddress: string, auth: RegistryAuth, signal: AbortSignal): Promise<{ readonly identityToken?: string }>;
  search(term: string, limit: number, signal: AbortSignal): Promise<SearchResult[]>;
}

export interface PullRequest {
  readonly namespace: string;
  readonly reference: ImageReference;
  readonly platform?: { readonly os: string; readonly architecture: string; readonly variant?: string };
  readonly auth?: RegistryAuth;
  readonly signal: AbortSignal;
  readonly onProgress: (progress: TransferProgress) => void;
}

export interface PullResult {
  readonly imageId: Digest;
  /** Of the manifest or index that the name led to. */
  readonly digest: Digest;
  /** False: the name led there before. */
  readonly changed: boolean;
}

export type PushRequest = Omit<PullRequest, 'platform'>;

export interface PushResult {
  readonly tag: string;
  readonly digest: Digest;
  readonly sizeBytes: number;
}

/** One line of what a person sees. `status` in Docker's words: `Pulling fs layer`, `Downloading`, `Pull complete`, `Layer already exists` … */
export interface TransferProgress {
  /** The layer's short id (12 digits of its digest), or the tag. */
  readonly id?: string;
  readonly status: string;
  readonly current?: number;
  readonly total?: number;
}

export interface SearchResult {
  readonly name: string;
  readonly description: string;
  readonly stars: number;
  readonly official: boolean;
}
