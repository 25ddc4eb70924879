import type { Readable } from 'node:stream';
import type { BuildEventView, BuildParcelBody, BuildRegistriesBody, BuildRequestBody, CachePruneBody, CacheRecordView } from '#contracts';
import type { BuildId } from '#kernel';

export interface AttachedBuildRequest {
  readonly id: BuildId;
  readonly request: BuildRequestBody;
  readonly registries: BuildRegistriesBody;
}

/** Images from Dockerfiles, on a tenant's virtual host. */
export interface HostBuilds {
  /** Events until the build ends. Who stops reading, or the signal, ends the build. @throws CodedError what it failed by, in Docker's words */
  build(context: Readable, request: AttachedBuildRequest, signal: AbortSignal): AsyncIterable<BuildEventView>;
  /** Keeps what a job will build: what is said of it, then the bytes of its context where it has any. Durable when they resolve. Idempotent. @throws CodedError `payload_too_large`, `resource_exhausted` */
  spool(id: BuildId, parcel: BuildParcelBody): Promise<void>;
  spoolContext(id: BuildId, context: Readable, signal: AbortSignal): Promise<void>;
  /** Of a build that is over, or never was. Idempotent. */
  unspool(id: BuildId): Promise<void>;
  /** What builds keep for those to come. */
  cache(): Promise<readonly CacheRecordView[]>;
  /** Removes what is chosen of it and nothing else keeps; when nothing is said, all steps are forgotten. */
  prune(request: CachePruneBody): Promise<{ readonly removed: readonly string[]; readonly reclaimedBytes: number }>;
}
