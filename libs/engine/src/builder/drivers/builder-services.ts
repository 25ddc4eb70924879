import type { Clock, Logger } from '#kernel';
import type { ContainerProcesses, Containers } from '../../containers/index.js';
import type { GitSource } from '../../git/index.js';
import type { TenantImages } from '../../images/index.js';
import type { FetchedUrl, ImageTransfers } from '../../registry-client/index.js';
import type { Snapshotter } from '../../snapshots/index.js';
import type { Trees } from '../../tree/index.js';
import type { Volumes } from '../../volumes/index.js';

/** What builds stand on. All of them have recovered before `recover` of the builder is called. */
export interface DockerfileBuilderOptions {
  /** A folder of its own: contexts while they are built, and the cache. */
  readonly root: string;
  readonly images: Pick<TenantImages, 'resolve' | 'append' | 'tag' | 'hold' | 'release' | 'list' | 'remove' | 'usage'>;
  readonly transfers: Pick<ImageTransfers, 'pull'>;
  readonly snapshots: Pick<Snapshotter, 'layerDirs'>;
  readonly trees: Pick<Trees, 'pack'>;
  readonly containers: Pick<Containers, 'create' | 'get' | 'start' | 'wait' | 'remove' | 'commitAs'>;
  readonly processes: Pick<ContainerProcesses, 'attach'>;
  readonly volumes: Pick<Volumes, 'create' | 'get' | 'extract' | 'markFilled' | 'list' | 'usage' | 'holders' | 'remove'>;
  /** What is behind an URL of ADD, under the node's policy. */
  readonly fetchUrl: (url: string, signal: AbortSignal) => Promise<FetchedUrl>;
  /** Repositories of ADD and of contexts, under the same policy. */
  readonly git: GitSource;
  readonly clock: Clock;
  readonly logger: Logger;
}
