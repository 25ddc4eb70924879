import { Controller, Delete, Get, HttpCode, Inject, Param, Post } from '@nestjs/common';
import { CodedError, type Clock } from '#kernel';
import { RequirePermission } from '../../auth/permission.decorator.js';
import { ApiExcludeController } from '../../docs/annotations.js';
import { CLOCK } from '../../platform/platform.js';
import { DOCKER_BACKENDS, type DockerBackends } from './docker-backends.js';
import { Docker, DockerCall } from './docker-call.js';
import { badParameter, unsupported } from './errors.js';
import { DockerFilters } from './filters.js';
import { IMAGE_FILTERS, selectImages } from './image-list.js';
import { nameOf } from './image-transfers.js';
import { toDeletions, toHistory, toImageInspect, toImageSummary } from './image-views.js';

const MAX_SEARCH_RESULTS = 100;
const SEARCH_RESULTS = 25;

@ApiExcludeController()
@Controller('docker/images')
export class DockerImagesController {
  constructor(
    @Inject(DOCKER_BACKENDS) private readonly backends: DockerBackends,
    @Inject(CLOCK) private readonly clock: Clock,
  ) {}

  @Get('json')
  @RequirePermission('host:read')
  async list(@Docker() call: DockerCall): Promise<object[]> {
    const filters = DockerFilters.parse(call.query.text('filters'), IMAGE_FILTERS);
    const images = await this.backends.hosts.of(call.caller.tenant).images({ sharedSize: call.query.flag('shared-size') });
    return selectImages(images, filters, call.query.flag('all'), this.clock.now()).map((listed) => toImageSummary(listed, call.version, { containers: false }));
  }

  @Get('search')
  @RequirePermission('host:read')
  async search(@Docker() call: DockerCall): Promise<object[]> {
    const filters = DockerFilters.parse(call.query.text('filters'), ['is-official', 'is-automated', 'stars']);
    const limit = call.query.integer('limit') ?? SEARCH_RESULTS;
    if (limit < 0 || limit > MAX_SEARCH_RESULTS) throw badParameter(`limit ${limit} is outside the range of [1, ${MAX_SEARCH_RESULTS}]`);
    const official = filters.has('is-official') ? filters.flag('is-official', false) : undefined;
    const automated = filters.flag('is-automated', false);
    const stars = filters.get('stars').map((text) => {
      if (!/^\d{1,9}$/.test(text)) throw badParameter(`invalid filter 'stars=${text}'`);
      return Number(text);
    });
    if (automated) return [];
    const found = await this.backends.hosts.of(call.caller.tenant).search(call.query.text('term'), limit === 0 ? SEARCH_RESULTS : limit);
    return found
      .filter((one) => (official === undefined || one.official === official) && stars.every((least) => one.stars >= least))
      .map((one) => ({ star_count: one.stars, is_official: one.official, name: one.name, is_automated: false, description: one.description }));
  }

  @Get('get')
  @RequirePermission('host:read')
  async saveMany(@Docker() call: DockerCall): Promise<void> {
    const names = call.query.all('names').flatMap((given) => given.split(',')).filter((name) => name !== '');
    if (names.length === 0) throw badParameter('no image names given');
    await this.save(call, names);
  }

  @Get(':name/get')
  @RequirePermission('host:read')
  async saveOne(@Docker() call: DockerCall, @Param('name') name: string): Promise<void> {
    await this.save(call, [name]);
  }

  @Get(':name/json')
  @RequirePermission('host:read')
  async inspect(@Docker() call: DockerCall, @Param('name') name: string): Promise<object> {
    return toImageInspect(await this.backends.hosts.of(call.caller.tenant).image(name), call.version);
  }

  @Get(':name/history')
  @RequirePermission('host:read')
  async history(@Docker() call: DockerCall, @Param('name') name: string): Promise<object[]> {
    return toHistory(await this.backends.hosts.of(call.caller.tenant).imageHistory(name));
  }

  @Post(':name/tag')
  @RequirePermission('host:write')
  async tag(@Docker() call: DockerCall, @Param('name') name: string): Promise<void> {
    const target = nameOf(call.query.text('repo'), call.query.text('tag'));
    if (target === undefined) throw badParameter('invalid reference format');
    await this.backends.hosts.of(call.caller.tenant).tagImage(name, target);
  }

  @Delete(':name')
  @RequirePermission('host:write')
  async remove(@Docker() call: DockerCall, @Param('name') name: string): Promise<object[]> {
    const options = { force: call.query.flag('force'), keepParents: call.query.flag('noprune') };
    return toDeletions(await this.backends.hosts.of(call.caller.tenant).removeImage(name, options));
  }

  @Post('prune')
  @HttpCode(200)
  @RequirePermission('host:write')
  async prune(@Docker() call: DockerCall): Promise<object> {
    const filters = DockerFilters.parse(call.query.text('filters'), ['dangling', 'label', 'label!', 'until']);
    const { removals, reclaimedBytes } = await this.backends.hosts.of(call.caller.tenant).pruneImages({ all: !filters.flag('dangling', true), ...filters.pruning(this.clock.now()) });
    return { ImagesDeleted: removals.length === 0 ? null : toDeletions(removals), SpaceReclaimed: reclaimedBytes };
  }

  private async save(call: DockerCall, names: readonly string[]): Promise<void> {
    if (call.query.has('platform')) throw unsupported('saving one platform of an image');
    const archive = await this.backends.hosts.of(call.caller.tenant).saveImages(names, call.signal);
    await call.send(archive as AsyncIterable<Buffer>, 'application/x-tar');
  }
}

@ApiExcludeController()
@Controller('docker/distribution')
export class DockerDistributionController {
  @Get(':name/json')
  @RequirePermission('host:read')
  inspect(): never {
    throw new CodedError('unsupported', "reading a registry's manifests without a pull is not supported by this server");
  }
}
