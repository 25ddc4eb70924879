import { buildRegistriesSchema, buildRequestSchema, cachePruneSchema, type BuildEventView } from '#contracts';
import type { BuildEvent, BuildRequest, RegistryAuth } from '#engine';
import { CodedError, parseReference, withDefaultTag, type ImageReference } from '#kernel';
import { RpcLines } from '../node/rpc-answers.js';
import type { RpcRoute } from '../node/rpc-server.js';
import { BuildPlaces } from './build-places.js';
import { cachePruning } from './cache-filter.js';
import { bodyOf, hostRoute, parse, required, type HostCall } from './host-route.js';
import { ensureDisk, type HostServices } from './host-services.js';
import { PacedQueue } from './paced-queue.js';

/** Events that were not taken yet: behind them the build waits. */
const MAX_EVENTS = 64;
const REGISTRIES = 'x-sandbar-registries';
const DOCKER_HUB = 'https://index.docker.io/v1/';

/** Images from Dockerfiles. */
export function buildRoutes(services: HostServices): RpcRoute[] {
  const places = new BuildPlaces();
  return [
    hostRoute('POST', '/build', async (call) => {
      const request = requestOf(call);
      const limits = call.limits();
      await ensureDisk(services, call.tenantId, limits);
      await services.cgroups.ensure(call.tenantId, limits);
      return new RpcLines(eventsOf(call, (report, signal) => places.within(call.tenantId, signal, () => services.builder.build(call.tenantId, request, call.body(), report, signal))));
    }),
    hostRoute('POST', '/build/prune', async (call) => services.builder.prune(call.tenantId, cachePruning(await bodyOf(call, cachePruneSchema)))),
    hostRoute('GET', '/build/cache', (call) => services.builder.cacheRecords(call.tenantId)),
  ];
}

/** What the build reports. Who stops reading ends it, and waits until nothing of it is left. */
async function* eventsOf({ signal }: HostCall, build: (report: (event: BuildEvent) => Promise<void>, signal: AbortSignal) => Promise<unknown>): AsyncGenerator<BuildEventView, void, undefined> {
  const left = new AbortController();
  const queue = new PacedQueue<BuildEvent>(MAX_EVENTS);
  const over = AbortSignal.any([signal, left.signal]);
  over.addEventListener('abort', () => { queue.end(); }, { once: true });
  const done = build((event) => queue.push(event), over).finally(() => { queue.end(); });
  done.catch(() => undefined);
  try {
    for await (const event of queue) yield lineOf(event);
    await done;
  } finally {
    left.abort();
    await done.catch(() => undefined);
  }
}

function lineOf(event: BuildEvent): BuildEventView {
  if (event.kind !== 'pull') return event;
  const { id, status } = event.progress;
  return { kind: 'pull', step: event.step, progress: { status, ...(id === undefined ? {} : { id }) } };
}

function requestOf(call: HostCall): BuildRequest {
  const { buildArgs, labels, tags, limits, ...rest } = parse(buildRequestSchema, json(required(call, 'request')));
  // Undefined where JSON has nothing is absent for the engine.
  return {
    ...(JSON.parse(JSON.stringify({ ...rest, limits })) as Pick<BuildRequest, 'noCache' | 'pull' | 'network' | 'limits'>),
    buildArgs: new Map(Object.entries(buildArgs)),
    labels: new Map(Object.entries(labels)),
    tags: tags.map(tagOf),
    authOf: authOf(call.header(REGISTRIES)),
  };
}

function tagOf(name: string): ImageReference {
  const reference = withDefaultTag(parseReference(name));
  if (reference.digest !== undefined) throw new CodedError('invalid_argument', 'refusing to create a tag with a digest reference');
  return reference;
}

/** Docker's clients know its own registry by an address of its first version. */
function authOf(header: string | undefined): BuildRequest['authOf'] {
  const registries = header === undefined ? {} : parse(buildRegistriesSchema, json(Buffer.from(header, 'base64url').toString('utf8')));
  return (domain) => (registries[domain === 'docker.io' ? DOCKER_HUB : domain] ?? registries[domain] ?? registries[`https://${domain}`]) as RegistryAuth | undefined;
}

function json(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new CodedError('invalid_argument', 'the request of the build is not JSON');
  }
}
