import { Controller, Get, Head, HttpCode, Inject, Post } from '@nestjs/common';
import { type Clock } from '#kernel';
import { Public, RequirePermission } from '../../auth/permission.decorator.js';
import { ApiExcludeController } from '../../docs/annotations.js';
import { Lifecycle } from '../../platform/lifecycle.js';
import { CLOCK } from '../../platform/platform.js';
import { toBuildCache } from './build-cache-views.js';
import { toContainerSummary } from './container-views.js';
import { DOCKER_BACKENDS, type DockerBackends } from './docker-backends.js';
import { Docker, DockerCall } from './docker-call.js';
import { badParameter } from './errors.js';
import { acceptsEvent, EVENT_FILTERS, eventLine } from './events.js';
import { DockerFilters } from './filters.js';
import { selectImages } from './image-list.js';
import { toImageSummary } from './image-views.js';
import { toRegistryAuth } from './registry-auth.js';
import { serverVersion } from './server-version.js';
import { toInfo, toVersion } from './system-views.js';
import { unixNanos } from './times.js';
import { toVolume } from './volumes.controller.js';

const INDEX = 'https://index.docker.io/v1/';
const KINDS_OF_USAGE = ['container', 'image', 'volume', 'build-cache'];
/** What happened before `until` has come by then. */
const BACKLOG_MS = 300;

@ApiExcludeController()
@Controller('docker')
export class DockerSystemController {
  constructor(
    @Inject(DOCKER_BACKENDS) private readonly backends: DockerBackends,
    @Inject(CLOCK) private readonly clock: Clock,
    private readonly lifecycle: Lifecycle,
  ) {}

  /** Asked before every command, also by clients that have no key yet: it says nothing that is not public. */
  @Head('_ping')
  @Public()
  pingHead(@Docker() call: DockerCall): void {
    pingHeaders(call);
  }

  @Get('_ping')
  @Public()
  ping(@Docker() call: DockerCall): string {
    pingHeaders(call);
    return 'OK';
  }

  @Get('version')
  @RequirePermission('host:read')
  version(): object {
    return toVersion(serverVersion());
  }

  @Get('info')
  @RequirePermission('host:read')
  async info(@Docker() call: DockerCall): Promise<object> {
    const { tenant } = call.caller;
    const host = this.backends.hosts.of(tenant);
    const [containers, images] = await Promise.all([host.containers(), host.images()]);
    return toInfo({ tenant, containers, images: images.length, nowMs: this.clock.now() });
  }

  @Post('auth')
  @HttpCode(200)
  @RequirePermission('host:write')
  async auth(@Docker() call: DockerCall): Promise<object> {
    const { auth, serverAddress } = toRegistryAuth(await call.json());
    if (auth === undefined) throw badParameter('no credentials are given');
    const { identityToken = '' } = await this.backends.hosts.of(call.caller.tenant).login(serverAddress === '' ? INDEX : serverAddress, auth);
    return { Status: 'Login Succeeded', IdentityToken: identityToken };
  }

  @Get('system/df')
  @RequirePermission('host:read')
  async diskUsage(@Docker() call: DockerCall): Promise<object> {
    const types = call.query.all('type');
    for (const type of types) if (!KINDS_OF_USAGE.includes(type)) throw badParameter(`unknown object type: ${type}`);
    const wants = (type: string): boolean => types.length === 0 || types.includes(type);
    const host = this.backends.hosts.of(call.caller.tenant);
    const [usage, containers, cache] = await Promise.all([host.diskUsage(), wants('container') ? host.containers() : [], wants('build-cache') ? host.builds.cache() : []]);
    const sizes = new Map(usage.containers.map((one) => [one.id, one]));
    const sized = containers.map((one) => ({ ...one, writableBytes: sizes.get(one.id)?.writableBytes ?? 0, rootfsBytes: sizes.get(one.id)?.rootfsBytes ?? 0 }));
    // What only builds stand on is told among what they keep.
    const images = selectImages(usage.images, DockerFilters.parse('', []), false, this.clock.now());
    return {
      LayersSize: wants('image') ? usage.layersBytes : 0,
      Images: wants('image') ? images.map((listed) => toImageSummary(listed, call.version, { containers: true })) : null,
      Containers: wants('container') ? sized.map((one) => toContainerSummary(one, this.clock.now())) : null,
      Volumes: wants('volume') ? usage.volumes.map((volume) => toVolume({ ...volume, sizeBytes: volume.sizeBytes ?? 0 })) : null,
      BuildCache: wants('build-cache') ? cache.map(toBuildCache) : null,
      ...(call.version < 42 ? { BuilderSize: cache.reduce((bytes, { shared, sizeBytes }) => bytes + (shared ? 0 : sizeBytes), 0) } : {}),
    };
  }

  /** Ends at `until`; without it, when the client goes. */
  @Get('events')
  @RequirePermission('host:read')
  async events(@Docker() call: DockerCall): Promise<void> {
    const filters = DockerFilters.parse(call.query.text('filters'), EVENT_FILTERS);
    const since = nanosOf(call.query.text('since'));
    const until = nanosOf(call.query.text('until'));
    if (since !== undefined && until !== undefined && since > until) throw badParameter(`\`since\` time (${call.query.text('since')}) cannot be after \`until\` time (${call.query.text('until')})`);
    const left = until === undefined ? undefined : Math.max(0, Number(until / 1_000_000n) - this.clock.now()) + BACKLOG_MS;
    const over = new AbortController();
    // Longer than a timer can be is as good as without an end.
    const timer = left === undefined || left > 0x7fffffff ? undefined : setTimeout(() => { over.abort(); }, left);
    const source = this.backends.hosts.of(call.caller.tenant).events(since?.toString() ?? (left === BACKLOG_MS ? '0' : undefined), AbortSignal.any([call.signal, over.signal, this.lifecycle.draining]));
    const answer = call.answer('application/json');
    try {
      for await (const event of source) {
        if (until !== undefined && BigInt(event.timeNs) > until) break;
        if (acceptsEvent(event, filters) && !(await answer.write(eventLine(event)))) break;
      }
      answer.end();
    } catch {
      if (over.signal.aborted || this.lifecycle.draining.aborted) answer.end();
      else answer.cut();
    } finally {
      clearTimeout(timer);
    }
  }
}

function pingHeaders({ reply }: DockerCall): void {
  void reply.headers({ 'builder-version': '1', swarm: 'inactive', 'cache-control': 'no-cache, no-store, must-revalidate', pragma: 'no-cache' }).type('text/plain; charset=utf-8');
}

function nanosOf(text: string): bigint | undefined {
  return text === '' || text === '0' ? undefined : unixNanos(text);
}
