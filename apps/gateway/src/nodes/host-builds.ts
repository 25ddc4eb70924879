import type { Readable } from 'node:stream';
import type { BuildEventView, BuildRegistriesBody, BuildRequestBody } from '#contracts';

/** Images from Dockerfiles, on a tenant's virtual host. */
export interface HostBuilds {
  /** Events until the build ends. Who stops reading, or the signal, ends the build. @throws CodedError what it failed by, in Docker's words */
  build(context: Readable, request: BuildRequestBody, registries: BuildRegistriesBody, signal: AbortSignal): AsyncIterable<BuildEventView>;
  /** Forgets the steps of all builds, and what of their images nothing else keeps. */
  prune(): Promise<{ readonly removed: readonly string[]; readonly reclaimedBytes: number }>;
}
