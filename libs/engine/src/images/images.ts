import type { Digest } from '#kernel';

/** The parts of an OCI image config that the engine reads (image-spec, config.md). */
export interface ImageConfig {
  readonly architecture: string;
  readonly os: string;
  readonly created?: string;
  readonly config: {
    readonly Env?: readonly string[];
    readonly Cmd?: readonly string[];
    readonly Entrypoint?: readonly string[];
    readonly WorkingDir?: string;
    readonly User?: string;
    readonly Labels?: Readonly<Record<string, string>>;
  };
  readonly rootfs: { readonly type: 'layers'; readonly diff_ids: readonly Digest[] };
  readonly history?: readonly { readonly created?: string; readonly created_by?: string; readonly empty_layer?: boolean; readonly comment?: string }[];
}

export interface Image {
  /** The image ID: digest of the config as stored. */
  readonly id: Digest;
  readonly manifest: Digest;
  readonly config: ImageConfig;
  /** Names its unpacked root file system in the snapshotter. */
  readonly chainId: Digest;
}

/** Images by name, within a name space: a tenant, or `system` for what the node itself provides. Layers are shared below, unseen. */
export interface ImageStore {
  /**
   * Makes a one-layer image of a root file system tar and names it, in the place of what had the name. Idempotent: the same bytes,
   * config, `created` and comment give the same image. The layer is stored compressed and unpacked in one pass.
   * @throws CodedError `invalid_argument` (not a tar, or a name that is none), `resource_exhausted` (the disk is full). What the tar's
   * source throws, likewise; then no name points to what came of it.
   */
  importRootfs(request: ImportRequest): Promise<Image>;
  /** @throws CodedError `not_found` */
  get(namespace: string, name: string): Promise<Image>;
  list(namespace: string): Promise<{ name: string; image: Image }[]>;
  /** Takes the name away; what nothing else needs goes too. Idempotent. */
  remove(namespace: string, name: string): Promise<void>;
  /** Removes what no name of any name space leads to, such as a crash in the middle of an import leaves. No other process may be importing. */
  collectGarbage(): Promise<void>;
}

export interface ImportRequest {
  readonly namespace: string;
  /** Such as `runtime/python:5f2a…`. */
  readonly name: string;
  /** The uncompressed tar. */
  readonly tar: AsyncIterable<Uint8Array>;
  readonly config?: ImageConfig['config'];
  /** RFC 3339; default: now. */
  readonly created?: string;
  readonly comment?: string;
}
