import type { Readable } from 'node:stream';
import type {
  CommitContainerBody,
  ContainerStatsView,
  ContainerView,
  CreateContainerBody,
  CreateVolumeBody,
  DiskUsageView,
  HostEventView,
  ImageDetail,
  ImageHistory,
  ImageRemovals,
  ImageSummary,
  ProcessTableView,
  ProgressLine,
  RegistryAuthBody,
  SandboxCondition,
  TenantLimits,
  UpdateContainerBody,
  VolumeView,
} from '#contracts';
import type { TenantId } from '#kernel';
import type { HostBuilds } from './host-builds.js';
import type { HostFiles } from './host-files.js';
import type { HostNetworks } from './host-networks.js';
import type { LabelFilter } from './label-filter.js';
import type { HostProcesses } from './host-processes.js';

/** Whose host: limits go along with each call, the node keeps none. */
export interface HostTenant {
  readonly id: TenantId;
  readonly limits: TenantLimits;
}

/** A byte stream from the node. Destroy it when the reader goes away: the node then stops. */
export type HostStream = Readable;

/**
 * The virtual Docker host of a tenant, on its home node (assigned with its first use, kept in the tenant's row). Calls fail with the engine's own codes
 * and messages, and with `unavailable` when the node is away. `docs/node-rpc.md` has the wire. Streamed bodies have no time limit but stall limits;
 * `signal` ends what the node does.
 */
export interface TenantHosts {
  of(tenant: HostTenant): TenantHost;
}

export interface TenantHost {
  readonly networks: HostNetworks;
  readonly processes: HostProcesses;
  readonly builds: HostBuilds;

  images(options?: { readonly sharedSize?: boolean }): Promise<ImageSummary[]>;
  image(ref: string): Promise<ImageDetail>;
  imageHistory(ref: string): Promise<ImageHistory>;
  tagImage(source: string, name: string): Promise<void>;
  removeImage(ref: string, options: { readonly force: boolean; readonly keepParents: boolean }): Promise<ImageRemovals>;
  pruneImages(filter: LabelFilter & { readonly all: boolean }): Promise<{ readonly removals: ImageRemovals; readonly reclaimedBytes: number }>;
  /** Resolves when the first byte is certain: a missing name is an error here, not in the stream. */
  saveImages(names: readonly string[], signal: AbortSignal): Promise<HostStream>;
  /** Lines until the stream ends; the last has `aux.images: {id, tags}[]` or `error`. */
  loadImages(archive: Readable, signal: AbortSignal): AsyncIterable<ProgressLine>;
  /** The last line has `aux.imageId` or `error`. `source`: a tar, or an URL that the node fetches under the registry policy. */
  importImage(source: Readable | { readonly url: string }, request: { readonly name?: string; readonly message?: string; readonly changes: readonly string[]; readonly platform?: string }, signal: AbortSignal): AsyncIterable<ProgressLine>;
  commitContainer(request: CommitContainerBody): Promise<{ readonly imageId: string }>;
  login(serverAddress: string, auth: RegistryAuthBody): Promise<{ readonly identityToken?: string }>;
  search(term: string, limit: number): Promise<{ readonly name: string; readonly description: string; readonly stars: number; readonly official: boolean }[]>;

  /** One of the node's runtimes as an image of the tenant's, and what its programs want in their environment. Idempotent. @throws CodedError `not_found`, `quota_exceeded` */
  runtimeImage(name: string): Promise<{ readonly image: string; readonly env: Readonly<Record<string, string>> }>;

  volumes(options?: { readonly size?: boolean }): Promise<VolumeView[]>;
  volume(name: string): Promise<VolumeView>;
  createVolume(request: CreateVolumeBody): Promise<VolumeView>;
  removeVolume(name: string, options: { readonly force: boolean }): Promise<void>;
  pruneVolumes(filter: LabelFilter & { readonly all: boolean }): Promise<{ readonly removed: string[]; readonly reclaimedBytes: number }>;
  packVolume(name: string, signal: AbortSignal): Promise<HostStream>;
  extractVolume(name: string, tar: Readable, signal: AbortSignal): Promise<void>;

  containers(options?: { readonly size?: boolean }): Promise<ContainerView[]>;
  container(ref: string, options?: { readonly size?: boolean }): Promise<ContainerView>;
  createContainer(request: CreateContainerBody): Promise<{ readonly id: string; readonly warnings: string[] }>;
  /** False: it ran already. */
  startContainer(ref: string): Promise<boolean>;
  stopContainer(ref: string, options: { readonly signal?: string; readonly timeoutSeconds?: number }): Promise<boolean>;
  restartContainer(ref: string, options: { readonly signal?: string; readonly timeoutSeconds?: number }): Promise<void>;
  updateContainer(ref: string, change: UpdateContainerBody): Promise<{ readonly warnings: string[] }>;
  /** `psArgs`: of `ps`; '' its full format. */
  containerTop(ref: string, psArgs: string): Promise<ProcessTableView>;
  /** Each second, or once. Ends when the container is removed. */
  containerStats(ref: string, options: { readonly once: boolean }, signal: AbortSignal): AsyncIterable<ContainerStatsView>;
  killContainer(ref: string, signal?: string): Promise<void>;
  pauseContainer(ref: string): Promise<void>;
  unpauseContainer(ref: string): Promise<void>;
  renameContainer(ref: string, name: string): Promise<void>;
  /** `web/db`: the link named `db` of the container `web`. */
  removeLink(name: string): Promise<void>;
  removeContainer(ref: string, options: { readonly force: boolean; readonly volumes: boolean }): Promise<void>;
  pruneContainers(filter: LabelFilter): Promise<{ readonly removed: string[]; readonly reclaimedBytes: number }>;
  /** Resolves with a promise once the node waits: what happens from then on is not missed. */
  waitContainer(ref: string, condition: 'not-running' | 'next-exit' | 'removed', signal: AbortSignal): Promise<{ readonly ended: Promise<{ readonly exitCode: number; readonly error?: string }> }>;
  /**
   * When the condition holds, or has held since the call; undefined: the container is gone (which is what `removed` and `stopped` wait for).
   * @throws CodedError `not_found`, `gone` (removed meanwhile), `cancelled` on the signal
   */
  containerReached(ref: string, condition: SandboxCondition, signal: AbortSignal): Promise<ContainerView | undefined>;
  logs(ref: string, options: { readonly stdout: boolean; readonly stderr: boolean; readonly tail?: number; readonly sinceMs?: number; readonly untilMs?: number; readonly follow: boolean }, signal: AbortSignal): AsyncIterable<{ readonly stream: 'stdout' | 'stderr'; readonly timeMs: number; readonly bytes: Buffer }>;
  changes(ref: string): Promise<{ readonly path: string; readonly kind: 'modified' | 'added' | 'deleted' }[]>;
  exportContainer(ref: string, signal: AbortSignal): Promise<HostStream>;

  readonly files: HostFiles;

  diskUsage(): Promise<DiskUsageView>;
  events(sinceNs: string | undefined, signal: AbortSignal): AsyncIterable<HostEventView>;
  /**
   * Everything after `after` (absent: from now on) without a gap. `position`: what to come back with when no event has come yet.
   * @throws CodedError `gone` (not kept any more)
   */
  resumeEvents(after: string | undefined, signal: AbortSignal): Promise<{ readonly position: string; readonly events: AsyncIterable<HostEventView> }>;
  /** Everything the tenant has there. */
  drop(): Promise<void>;
}
