import { buildParcelSchema, buildRegistriesSchema, buildRequestSchema, cachePruneSchema, type BuildEventView } from '#contracts';
import type { BuildEvent, BuildRequest } from '#engine';
import { CodedError, parseId, type BuildId } from '#kernel';
import type { AttachedBuilds } from '../builds/attached-builds.js';
import { engineRequest } from '../builds/build-request.js';
import type { BuildSpool } from '../builds/build-spool.js';
import { RpcLines } from '../node/rpc-answers.js';
import type { RpcRoute } from '../node/rpc-server.js';
import { cachePruning } from './cache-filter.js';
import { bodyOf, hostRoute, parse, required, type HostCall } from './host-route.js';
import { ensureTenant, type HostServices } from './host-services.js';
import { PacedQueue } from './paced-queue.js';

/** Events that were not taken yet: behind them the build waits. */
const MAX_EVENTS = 64;
const REGISTRIES = 'x-sandbar-registries';

export interface BuildRouteServices extends Pick<HostServices, 'builder' | 'disks' | 'cgroups'> {
  readonly attached: Pick<AttachedBuilds, 'run'>;
  readonly spool: Pick<BuildSpool, 'put' | 'putContext' | 'remove'>;
}

/** Images from Dockerfiles: at once, while the caller listens, or spooled for a job that comes later. */
export function buildRoutes(services: BuildRouteServices): RpcRoute[] {
  const { attached, spool } = services;
  const prepare = async (call: HostCall) => {
    const limits = call.limits();
    await ensureTenant(services, call.tenantId, limits);
    return limits;
  };
  return [
    hostRoute('POST', '/build', async (call) => {
      const request = requestOf(call);
      const id = buildId(call);
      const limits = await prepare(call);
      return new RpcLines(eventsOf(call, (tee, signal) => attached.run({ id, tenantId: call.tenantId, limits, request, context: call.body() }, tee, signal)));
    }),
    hostRoute('PUT', '/build/parcel', async (call) => {
      const id = buildId(call);
      await prepare(call);
      await spool.put(call.tenantId, id, await bodyOf(call, buildParcelSchema));
    }),
    hostRoute('PUT', '/build/context', async (call) => {
      const id = buildId(call);
      await prepare(call);
      return spool.putContext(call.tenantId, id, call.body());
    }),
    hostRoute('DELETE', '/build', (call) => spool.remove(call.tenantId, buildId(call))),
    hostRoute('POST', '/build/prune', async (call) => services.builder.prune(call.tenantId, cachePruning(await bodyOf(call, cachePruneSchema)))),
    hostRoute('GET', '/build/cache', (call) => services.builder.cacheRecords(call.tenantId)),
  ];
}

function buildId(call: HostCall): BuildId {
  return parseId('build', required(call, 'id'));
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
  const header = call.header(REGISTRIES);
  const registries = header === undefined ? {} : parse(buildRegistriesSchema, json(Buffer.from(header, 'base64url').toString('utf8')));
  return engineRequest(parse(buildRequestSchema, json(required(call, 'request'))), registries);
}

function json(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new CodedError('invalid_argument', 'the request of the build is not JSON');
  }
}
