import type { IncomingMessage } from 'node:http';
import { Readable } from 'node:stream';
import { z } from 'zod';
import * as contracts from '#contracts';
import type { HostBuilds } from './host-builds.js';
import type { HostFiles } from './host-files.js';
import type { HostNetworks } from './host-networks.js';
import type { HostProcesses } from './host-processes.js';
import { checked, HostRpc, type Query, type Rest } from './host-rpc.js';
import { failureIn, type NodeConnection, type NodeRequest } from './node-connection.js';
import { linesOf, logChunksOf, oneValue } from './node-streams.js';
import { RemoteHostBuilds } from './remote-host-builds.js';
import { RemoteHostFiles } from './remote-host-files.js';
import { RemoteHostNetworks } from './remote-host-networks.js';
import { RemoteHostProcesses } from './remote-host-processes.js';
import type { HostStream, HostTenant, TenantHost } from './tenant-host.js';

const removed = z.object({ removed: z.array(z.string()), reclaimedBytes: z.number() });
const changed = z.object({ changed: z.boolean() });
const searchResults = z.array(z.object({ name: z.string(), description: z.string(), stars: z.number(), official: z.boolean() }));
const treeChanges = z.array(z.object({ path: z.string(), kind: z.enum(['modified', 'added', 'deleted']) }));
const exit = z.object({ exitCode: z.int(), error: z.string().optional() });
const runtimeImage = z.object({ image: z.string(), env: z.record(z.string(), z.string()) });
const reached = z.union([z.object({ view: contracts.containerViewSchema }), z.object({ removed: z.literal(true) })]);
const position = z.object({ position: z.string() });
const done = z.unknown();

type Options<M extends keyof TenantHost> = TenantHost[M] extends (...args: infer A) => unknown ? A : never;

/** A tenant's host over node RPC. */
export class RemoteTenantHost implements TenantHost {
  readonly files: HostFiles;
  readonly networks: HostNetworks;
  readonly processes: HostProcesses;
  readonly builds: HostBuilds;
  private readonly rpc: HostRpc;

  /** `connect`: to its home node, for each call anew. */
  constructor(tenant: HostTenant, connect: () => Promise<NodeConnection>) {
    this.rpc = new HostRpc(tenant, connect);
    this.builds = new RemoteHostBuilds(this.rpc);
    this.files = new RemoteHostFiles(this.rpc);
    this.networks = new RemoteHostNetworks(this.rpc);
    this.processes = new RemoteHostProcesses(this.rpc);
  }

  images = ({ sharedSize }: { readonly sharedSize?: boolean } = {}) => this.json('GET', '/images', { sharedSize }, z.array(contracts.imageSummarySchema));
  image = (ref: string) => this.json('GET', '/image', { ref }, contracts.imageDetailSchema);
  imageHistory = (ref: string) => this.json('GET', '/image/history', { ref }, contracts.imageHistorySchema);
  tagImage = async (source: string, name: string): Promise<void> => {
    await this.json('POST', '/image/tag', {}, done, { body: { json: { source, name } } });
  };
  removeImage = (ref: string, { force, keepParents }: Options<'removeImage'>[1]) => this.json('DELETE', '/image', { ref, force, keepParents }, contracts.imageRemovalsSchema);
  pruneImages = (filter: Options<'pruneImages'>[0]) => this.json('POST', '/images/prune', {}, z.object({ removals: contracts.imageRemovalsSchema, reclaimedBytes: z.number() }), { body: { json: filter } });
  saveImages = (name: readonly string[], signal: AbortSignal): Promise<HostStream> => this.stream('GET', '/images/archive', { name }, { signal });
  loadImages = (archive: Readable, signal: AbortSignal) => this.progress('/images/load', {}, { body: { stream: archive }, signal });

  importImage(source: Readable | { readonly url: string }, { name, message, changes, platform }: Options<'importImage'>[1], signal: AbortSignal): AsyncIterable<contracts.ProgressLine> {
    const query = { name, message, change: changes, platform };
    // A request that is handed on as a stream has an `url` too: its own.
    if (!(source instanceof Readable)) return this.progress('/images/import', { ...query, url: source.url }, { signal });
    return this.progress('/images/import', query, { body: { stream: source }, signal });
  }

  commitContainer = (request: contracts.CommitContainerBody) => this.json('POST', '/images/commit', {}, z.object({ imageId: z.string() }), { body: { json: request } });

  async login(serverAddress: string, auth: contracts.RegistryAuthBody): Promise<{ readonly identityToken?: string }> {
    const { identityToken } = await this.json('POST', '/registry/login', {}, z.object({ identityToken: z.string().optional() }), { body: { json: { serverAddress, auth } } });
    return identityToken === undefined ? {} : { identityToken };
  }

  search = (term: string, limit: number) => this.json('GET', '/registry/search', { term, limit }, searchResults);

  runtimeImage = (name: string) => this.json('POST', '/images/runtime', {}, runtimeImage, { body: { json: { name } } });

  volumes = ({ size }: { readonly size?: boolean } = {}) => this.json('GET', '/volumes', { size }, z.array(contracts.volumeViewSchema));
  volume = (name: string) => this.json('GET', '/volume', { name }, contracts.volumeViewSchema);
  createVolume = (request: contracts.CreateVolumeBody) => this.json('POST', '/volumes', {}, contracts.volumeViewSchema, { body: { json: request } });
  removeVolume = async (name: string, { force }: { readonly force: boolean }): Promise<void> => {
    await this.json('DELETE', '/volume', { name, force }, done);
  };
  pruneVolumes = (filter: Options<'pruneVolumes'>[0]) => this.json('POST', '/volumes/prune', {}, removed, { body: { json: filter } });
  packVolume = (name: string, signal: AbortSignal): Promise<HostStream> => this.stream('GET', '/volume/archive', { name }, { signal });
  extractVolume = async (name: string, tar: Readable, signal: AbortSignal): Promise<void> => {
    await this.json('PUT', '/volume/archive', { name }, done, { body: { stream: tar }, signal });
  };

  containers = ({ size }: { readonly size?: boolean } = {}) => this.json('GET', '/containers', { size }, z.array(contracts.containerViewSchema));
  container = (ref: string, { size }: { readonly size?: boolean } = {}) => this.json('GET', '/container', { ref, size }, contracts.containerViewSchema);
  createContainer = (request: contracts.CreateContainerBody) => this.json('POST', '/containers', {}, z.object({ id: z.string(), warnings: z.array(z.string()) }), { body: { json: request } });
  startContainer = (ref: string) => this.verb('start', ref);
  stopContainer = (ref: string, options: Options<'stopContainer'>[1]) => this.verb('stop', ref, options);
  restartContainer = async (ref: string, options: Options<'restartContainer'>[1]): Promise<void> => {
    await this.verb('restart', ref, options);
  };
  updateContainer = (ref: string, change: contracts.UpdateContainerBody) => this.json('POST', '/container/update', { ref }, z.object({ warnings: z.array(z.string()) }), { body: { json: change } });
  containerTop = (ref: string, psArgs: string) => this.json('GET', '/container/top', { ref, psArgs }, contracts.processTableSchema);

  async *containerStats(ref: string, { once }: Options<'containerStats'>[1], signal: AbortSignal): AsyncGenerator<contracts.ContainerStatsView, void, undefined> {
    for await (const line of linesOf(await this.stream('GET', '/container/stats', { ref, once }, { signal }))) {
      const failure = failureIn(line);
      if (failure !== undefined) throw failure;
      yield checked(contracts.containerStatsSchema, line);
    }
  }

  killContainer = async (ref: string, signal?: string): Promise<void> => {
    await this.verb('kill', ref, { signal });
  };
  pauseContainer = async (ref: string): Promise<void> => {
    await this.verb('pause', ref);
  };
  unpauseContainer = async (ref: string): Promise<void> => {
    await this.verb('unpause', ref);
  };
  removeLink = async (name: string): Promise<void> => {
    await this.json('DELETE', '/link', { name }, done);
  };
  renameContainer = async (ref: string, name: string): Promise<void> => {
    await this.verb('rename', ref, { name });
  };
  removeContainer = async (ref: string, { force, volumes }: Options<'removeContainer'>[1]): Promise<void> => {
    await this.json('DELETE', '/container', { ref, force, volumes }, done);
  };
  pruneContainers = (filter: Options<'pruneContainers'>[0]) => this.json('POST', '/containers/prune', {}, removed, { body: { json: filter } });

  async waitContainer(ref: string, condition: Options<'waitContainer'>[1], signal: AbortSignal) {
    const answer = await this.stream('GET', '/container/wait', { ref, condition }, { signal });
    const ended = exitOf(answer);
    // A caller that gives up before it looks leaves a rejection that nobody awaits.
    ended.catch(() => undefined);
    return { ended };
  }

  async containerReached(ref: string, condition: contracts.SandboxCondition, signal: AbortSignal): Promise<contracts.ContainerView | undefined> {
    const value = await oneValue(await this.stream('GET', '/container/reached', { ref, condition }, { signal }));
    const failure = failureIn(value);
    if (failure !== undefined) throw failure;
    const answer = checked(reached, value);
    return 'view' in answer ? answer.view : undefined;
  }

  async *logs(ref: string, options: Options<'logs'>[1], signal: AbortSignal): ReturnType<typeof logChunksOf> {
    yield* logChunksOf(await this.stream('GET', '/container/logs', { ref, ...options }, { signal }));
  }

  changes = (ref: string) => this.json('GET', '/container/changes', { ref }, treeChanges);
  exportContainer = (ref: string, signal: AbortSignal): Promise<HostStream> => this.stream('GET', '/container/export', { ref }, { signal });

  diskUsage = () => this.json('GET', '/disk-usage', {}, contracts.diskUsageSchema);

  async *events(since: string | undefined, signal: AbortSignal): AsyncGenerator<contracts.HostEventView, void, undefined> {
    yield* eventsOf(linesOf(await this.stream('GET', '/events', { since }, { signal })));
  }

  async resumeEvents(after: string | undefined, signal: AbortSignal) {
    const lines = linesOf(await this.stream('GET', '/events/resume', { after }, { signal }));
    const first = await lines.next();
    return { ...checked(position, first.value), events: eventsOf(lines) };
  }

  drop = async (): Promise<void> => {
    await this.json('DELETE', '/', {}, done);
  };

  private async *progress(path: string, query: Query, rest: Rest): AsyncGenerator<contracts.ProgressLine, void, undefined> {
    for await (const line of linesOf(await this.stream('POST', path, query, rest))) yield checked(contracts.progressLineSchema, line);
  }

  private async verb(name: string, ref: string, body: object = {}): Promise<boolean> {
    return (await this.json('POST', `/container/${name}`, { ref }, changed, { body: { json: body } })).changed;
  }

  private json<T>(method: NodeRequest['method'], path: string, query: Query, schema: z.ZodType<T>, rest?: Rest): Promise<T> {
    return this.rpc.json(method, path, query, schema, rest);
  }

  private stream(method: NodeRequest['method'], path: string, query: Query, rest: Rest): Promise<IncomingMessage> {
    return this.rpc.stream(method, path, query, rest);
  }
}

async function* eventsOf(lines: AsyncIterable<unknown>): AsyncGenerator<contracts.HostEventView, void, undefined> {
  for await (const line of lines) {
    const failure = failureIn(line);
    if (failure !== undefined) throw failure;
    yield checked(contracts.hostEventSchema, line);
  }
}

async function exitOf(answer: IncomingMessage): Promise<{ readonly exitCode: number; readonly error?: string }> {
  const value = await oneValue(answer);
  const failure = failureIn(value);
  if (failure !== undefined) throw failure;
  const { exitCode, error } = checked(exit, value);
  return { exitCode, ...(error === undefined ? {} : { error }) };
}
