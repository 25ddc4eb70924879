import type { Readable } from 'node:stream';
import { z } from 'zod';
import { buildEventSchema, cachePrunedSchema, cacheRecordSchema, type BuildEventView, type BuildParcelBody } from '#contracts';
import type { BuildId } from '#kernel';
import type { AttachedBuildRequest, HostBuilds } from './host-builds.js';
import { checked, type HostRpc } from './host-rpc.js';
import { failureIn } from './node-connection.js';
import { linesOf } from './node-streams.js';

const done = z.unknown();

/** A tenant's builds over node RPC. */
export class RemoteHostBuilds implements HostBuilds {
  constructor(private readonly rpc: Pick<HostRpc, 'json' | 'stream'>) {}

  async *build(context: Readable, { id, request, registries }: AttachedBuildRequest, signal: AbortSignal): AsyncGenerator<BuildEventView, void, undefined> {
    const headers = { 'x-sandbar-registries': Buffer.from(JSON.stringify(registries)).toString('base64url') };
    for await (const line of linesOf(await this.rpc.stream('POST', '/build', { id, request: JSON.stringify(request) }, { body: { stream: context }, headers, signal }))) {
      const failure = failureIn(line);
      if (failure !== undefined) throw failure;
      yield checked(buildEventSchema, line);
    }
  }

  async spool(id: BuildId, parcel: BuildParcelBody): Promise<void> {
    await this.rpc.json('PUT', '/build/parcel', { id }, done, { body: { json: parcel } });
  }

  async spoolContext(id: BuildId, context: Readable, signal: AbortSignal): Promise<void> {
    await this.rpc.json('PUT', '/build/context', { id }, done, { body: { stream: context }, signal });
  }

  async unspool(id: BuildId): Promise<void> {
    await this.rpc.json('DELETE', '/build', { id }, done);
  }

  cache: HostBuilds['cache'] = () => this.rpc.json('GET', '/build/cache', {}, z.array(cacheRecordSchema));

  prune: HostBuilds['prune'] = (request) => this.rpc.json('POST', '/build/prune', {}, cachePrunedSchema, { body: { json: request } });
}
