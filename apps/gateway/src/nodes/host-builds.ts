import type { Readable } from 'node:stream';
import type { BuildEventView, BuildRegistriesBody, BuildRequestBody, CachePruneBody, CacheRecordView } from '#contracts';

/** Images from Dockerfiles, on a tenant's virtual host. */
export interface HostBuilds {
  /** Events until the build ends. Who stops reading, or the signal, ends the build. @throws CodedError what it failed by, in Docker's words */
  build(context: Readable, request: BuildRequestBody, registries: BuildRegistriesBody, signal: AbortSignal): AsyncIterable<BuildEventView>;
  /** What builds keep for those to come. */
  cache(): Promise<readonly CacheRecordView[]>;
  /** Removes what is chosen of it and nothing else keeps; when nothing is said, all steps are forgotten. */
  prune(request: CachePruneBody): Promise<{ readonly removed: readonly string[]; readonly reclaimedBytes: number }>;
}
