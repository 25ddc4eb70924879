import type { Readable } from 'node:stream';
import { z } from 'zod';
import { buildEventSchema, cachePrunedSchema, cacheRecordSchema, type BuildEventView, type BuildRegistriesBody, type BuildRequestBody } from '#contracts';
import type { HostBuilds } from './host-builds.js';
import { checked, type HostRpc } from './host-rpc.js';
import { failureIn } from './node-connection.js';
import { linesOf } from './node-streams.js';

/** A tenant's builds over node RPC. */
export class RemoteHostBuilds implements HostBuilds {
  constructor(private readonly rpc: Pick<HostRpc, 'json' | 'stream'>) {}

  async *build(context: Readable, request: BuildRequestBody, registries: BuildRegistriesBody, signal: AbortSignal): AsyncGenerator<BuildEventView, void, undefined> {
    const headers = { 'x-sandbar-registries': Buffer.from(JSON.stringify(registries)).toString('base64url') };
    for await (const line of linesOf(await this.rpc.stream('POST', '/build', { request: JSON.stringify(request) }, { body: { stream: context }, headers, signal }))) {
      const failure = failureIn(line);
      if (failure !== undefined) throw failure;
      yield checked(buildEventSchema, line);
    }
  }

  cache: HostBuilds['cache'] = () => this.rpc.json('GET', '/build/cache', {}, z.array(cacheRecordSchema));

  prune: HostBuilds['prune'] = (request) => this.rpc.json('POST', '/build/prune', {}, cachePrunedSchema, { body: { json: request } });
}
