import type { Digest } from '#kernel';

/** How a health check is made (moby's HealthcheckConfig): `["NONE"]`, `["CMD", …]`, `["CMD-SHELL", line]`. Times are nanoseconds, 0 or absent: the default. */
export interface HealthcheckConfig {
  readonly Test?: readonly string[];
  readonly Interval?: number;
  readonly Timeout?: number;
  readonly StartPeriod?: number;
  readonly StartInterval?: number;
  readonly Retries?: number;
}

/** The parts of an OCI image config that the engine reads (image-spec, config.md), with Docker's additions. What is null or absent in the JSON is absent here. */
export interface ImageConfig {
  readonly architecture: string;
  readonly variant?: string;
  readonly os: string;
  readonly 'os.version'?: string;
  readonly created?: string;
  readonly author?: string;
  readonly config: {
    readonly Hostname?: string;
    readonly Domainname?: string;
    readonly User?: string;
    readonly ExposedPorts?: Readonly<Record<string, object>>;
    readonly Env?: readonly string[];
    readonly Cmd?: readonly string[];
    readonly Healthcheck?: HealthcheckConfig;
    readonly ArgsEscaped?: boolean;
    readonly Volumes?: Readonly<Record<string, object>>;
    readonly WorkingDir?: string;
    readonly Entrypoint?: readonly string[];
    readonly OnBuild?: readonly string[];
    readonly Labels?: Readonly<Record<string, string>>;
    readonly StopSignal?: string;
    readonly StopTimeout?: number;
    readonly Shell?: readonly string[];
  };
  readonly rootfs: { readonly type: 'layers'; readonly diff_ids: readonly Digest[] };
  readonly history?: readonly ImageHistoryEntry[];
}

export interface ImageHistoryEntry {
  readonly created?: string;
  readonly created_by?: string;
  readonly author?: string;
  readonly comment?: string;
  readonly empty_layer?: boolean;
}

export interface Image {
  /** The image ID: digest of the config as stored. */
  readonly id: Digest;
  readonly manifest: Digest;
  readonly config: ImageConfig;
  /** Names its unpacked root file system in the snapshotter. An image without layers stands on the empty layer. */
  readonly chainId: Digest;
}
