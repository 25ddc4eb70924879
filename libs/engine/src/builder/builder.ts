import type { Digest, ImageReference, TenantId } from '#kernel';
import type { ContainerResources } from '../containers/index.js';
import type { LintRule } from './lint/lint-warning.js';
import type { CachePruning, CacheRecord } from './cache-records.js';
import type { RegistryAuth, TransferProgress } from '../registry-client/index.js';

/**
 * Makes images from Dockerfiles. A build takes the files of its context, plans the stages that its target needs, and carries out one instruction after the
 * other: each makes an image on top of the one before, as Docker's classic builder does, so that history, cache and a build that is taken up again all stand
 * on images of the tenant. A RUN is a container of the tenant, with its limits, its network and its disk. Of a build that fails or is cancelled nothing
 * stays but the images of the steps that were done.
 */
export interface Builder {
  /** Removes what earlier lives of the worker have left of builds. To be awaited once, before all else. */
  recover(): Promise<void>;
  /**
   * `report` is awaited: who is slow to take events slows the build down.
   * @throws CodedError `invalid_argument` (`dockerfile parse error on line N, column M: …`, with details {line, column}; a context that is no tar; a step that
   * makes no sense; `The command '…' returned a non-zero code: N` with details.exitCode), `not_found` (an image, a source of COPY), `unsupported`,
   * `resource_exhausted`, `quota_exceeded`, `cancelled`, and as pulls and `GitSource.fetch`
   */
  build(tenantId: TenantId, request: BuildRequest, context: AsyncIterable<Uint8Array>, report: (event: BuildEvent) => Promise<void>, signal: AbortSignal): Promise<{ readonly imageId: Digest }>;
  /** What the tenant's builds keep for those to come. */
  cacheRecords(tenantId: TenantId): Promise<CacheRecord[]>;
  /**
   * Removes what was chosen of it, as far as nothing needs it: images of steps that have no name and are no part of another, contents of cache mounts. When nothing is said, what
   * is left is forgotten too: all steps are carried out again. `removed`: as `CacheRecord.id`.
   */
  prune(tenantId: TenantId, pruning?: CachePruning): Promise<{ readonly removed: readonly string[]; readonly reclaimedBytes: number }>;
  /** Of a tenant that is removed. Idempotent. */
  drop(tenantId: TenantId): Promise<void>;
}

export interface BuildRequest {
  /** Where the context is, when it is not sent: a Git repository, or the URL of an archive or of a Dockerfile. */
  readonly remote?: string;
  /** Of the context; absent: `Dockerfile`. */
  readonly dockerfile?: string;
  /** Name or number of a stage; absent: the last. */
  readonly target?: string;
  readonly buildArgs: ReadonlyMap<string, string>;
  readonly labels: ReadonlyMap<string, string>;
  readonly tags: readonly ImageReference[];
  readonly noCache: boolean;
  /** Bases are pulled although they are here. */
  readonly pull: boolean;
  /** By their ids, for `RUN --mount=type=secret`. They come into no layer, history, key or log, and are kept nowhere. */
  readonly secrets?: ReadonlyMap<string, Uint8Array>;
  /** `linux/amd64`. */
  readonly platform?: string;
  /** `default`, `none`, or the name of a network of the tenant's. */
  readonly network: string;
  /** `name:address`, of each RUN. */
  readonly extraHosts?: readonly string[];
  /** Of each RUN, by Docker's names. */
  readonly ulimits?: Readonly<Record<string, { readonly soft: number; readonly hard: number }>>;
  /** Images that steps are taken from, in this build alone, as far as they say how they were made and are the same; pulled when they are not here. Of others a warning tells. */
  readonly cacheFrom?: readonly string[];
  /** Of each RUN. */
  readonly limits: ContainerResources & { readonly shmBytes?: number };
  /** For the registry of that domain. Never kept. */
  readonly authOf: (domain: string) => RegistryAuth | undefined;
}

/** `step` is the number of a step, from 1 on, in the order of the file; steps of independent stages come in between each other. */
export type BuildEvent =
  | { readonly kind: 'step'; readonly step: number; readonly total: number; /** -1: before the first stage. */ readonly stage: number; readonly stageName: string | null; readonly text: string }
  | { readonly kind: 'triggers'; readonly step: number; readonly count: number }
  | { readonly kind: 'pull'; readonly step: number; readonly progress: TransferProgress }
  | { readonly kind: 'running'; readonly step: number; readonly containerId: string }
  | { readonly kind: 'log'; readonly step: number; readonly stream: 'stdout' | 'stderr'; readonly text: string }
  | { readonly kind: 'removed'; readonly step: number; readonly containerId: string }
  | { readonly kind: 'cached'; readonly step: number }
  /** null: no image has come of it. */
  | { readonly kind: 'done'; readonly step: number; readonly imageId: Digest | null; readonly durationMs: number }
  /** The step that the build fails by; `line` of the Dockerfile. */
  | { readonly kind: 'failed'; readonly step: number; readonly line: number; readonly durationMs: number }
  | { readonly kind: 'warning'; readonly message: string; /** Of a check of the Dockerfile. */ readonly lint?: { readonly rule: LintRule; readonly line: number; readonly column: number } }
  | { readonly kind: 'built'; readonly imageId: Digest }
  | { readonly kind: 'tagged'; readonly name: string };
