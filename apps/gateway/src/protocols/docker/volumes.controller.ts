import { Controller, Delete, Get, HttpCode, Inject, Param, Post } from '@nestjs/common';
import { createVolumeSchema, type VolumeView } from '#contracts';
import { type Clock } from '#kernel';
import { RequirePermission } from '../../auth/permission.decorator.js';
import { ApiExcludeController } from '../../docs/annotations.js';
import { CLOCK } from '../../platform/platform.js';
import { DOCKER_BACKENDS, type DockerBackends } from './docker-backends.js';
import { pick } from './docker-body.js';
import { Docker, DockerCall } from './docker-call.js';
import { badParameter, unsupported } from './errors.js';
import { DockerFilters } from './filters.js';
import { nullIfEmpty } from './image-views.js';
import { rfc3339Nano } from './times.js';

export function toVolume(volume: VolumeView): object {
  return {
    CreatedAt: rfc3339Nano(Math.floor(volume.createdAt / 1000) * 1000),
    Driver: volume.driver,
    Labels: nullIfEmpty(volume.anonymous ? { 'com.docker.volume.anonymous': '', ...volume.labels } : volume.labels),
    Mountpoint: volume.mountpoint,
    Name: volume.name,
    Options: nullIfEmpty(volume.options),
    Scope: 'local',
    ...(volume.sizeBytes === null ? {} : { UsageData: { RefCount: volume.usedBy.length, Size: volume.sizeBytes } }),
  };
}

@ApiExcludeController()
@Controller('docker/volumes')
export class DockerVolumesController {
  constructor(
    @Inject(DOCKER_BACKENDS) private readonly backends: DockerBackends,
    @Inject(CLOCK) private readonly clock: Clock,
  ) {}

  @Get()
  @RequirePermission('host:read')
  async list(@Docker() call: DockerCall): Promise<object> {
    const filters = DockerFilters.parse(call.query.text('filters'), ['dangling', 'driver', 'label', 'label!', 'name']);
    const dangling = filters.has('dangling') ? filters.flag('dangling', false) : undefined;
    const volumes = (await this.backends.hosts.of(call.caller.tenant).volumes()).filter(
      (volume) =>
        filters.matches('name', volume.name) &&
        filters.exact('driver', volume.driver) &&
        filters.labels(volume.labels) &&
        (dangling === undefined || dangling === (volume.usedBy.length === 0)),
    );
    return { Volumes: volumes.map(toVolume), Warnings: null };
  }

  @Get(':name')
  @RequirePermission('host:read')
  async inspect(@Docker() call: DockerCall, @Param('name') name: string): Promise<object> {
    return toVolume(await this.backends.hosts.of(call.caller.tenant).volume(name));
  }

  @Post('create')
  @RequirePermission('host:write')
  async create(@Docker() call: DockerCall): Promise<object> {
    const given = pick(await call.json(), ['Name', 'Driver', 'DriverOpts', 'Labels', 'ClusterVolumeSpec']);
    if (given.ClusterVolumeSpec !== undefined) throw unsupported('a cluster volume');
    const request = createVolumeSchema.safeParse({
      ...(given.Name === undefined || given.Name === '' ? {} : { name: given.Name }),
      ...(given.Driver === undefined || given.Driver === '' ? {} : { driver: given.Driver }),
      ...(given.DriverOpts === undefined ? {} : { options: given.DriverOpts }),
      ...(given.Labels === undefined ? {} : { labels: given.Labels }),
    });
    if (!request.success) throw badParameter(`invalid JSON: ${request.error.issues[0]?.path.join('.') ?? ''}: ${request.error.issues[0]?.message ?? ''}`);
    return toVolume(await this.backends.hosts.of(call.caller.tenant).createVolume(request.data));
  }

  @Delete(':name')
  @HttpCode(204)
  @RequirePermission('host:write')
  async remove(@Docker() call: DockerCall, @Param('name') name: string): Promise<void> {
    await this.backends.hosts.of(call.caller.tenant).removeVolume(name, { force: call.query.flag('force') });
  }

  /** Since API 1.42 only anonymous ones, unless `all` is asked for. */
  @Post('prune')
  @HttpCode(200)
  @RequirePermission('host:write')
  async prune(@Docker() call: DockerCall): Promise<object> {
    const filters = DockerFilters.parse(call.query.text('filters'), ['all', 'label', 'label!']);
    const all = filters.flag('all', call.version < 42);
    const { removed, reclaimedBytes } = await this.backends.hosts.of(call.caller.tenant).pruneVolumes({ all, ...filters.pruning(this.clock.now()) });
    return { VolumesDeleted: removed, SpaceReclaimed: reclaimedBytes };
  }
}
