import { Controller, Delete, Get, HttpCode, Inject, Param, Post, Res } from '@nestjs/common';
import type { FastifyReply } from 'fastify';
import { type Clock } from '#kernel';
import { RequirePermission } from '../../auth/permission.decorator.js';
import { ApiExcludeController } from '../../docs/annotations.js';
import type { TenantHost } from '../../nodes/tenant-host.js';
import { CLOCK } from '../../platform/platform.js';
import { translateCreate } from './container-create.js';
import { CONTAINER_FILTERS, selectContainers } from './container-list.js';
import { translateUpdate } from './container-resources.js';
import { toContainerInspect, toContainerSummary } from './container-views.js';
import { DOCKER_BACKENDS, type DockerBackends } from './docker-backends.js';
import { Docker, DockerCall } from './docker-call.js';
import { badParameter } from './errors.js';
import { DockerFilters } from './filters.js';

const KINDS = { modified: 0, added: 1, deleted: 2 } as const;
const NAME = /^\/?[a-zA-Z0-9][a-zA-Z0-9_.-]+$/;

@ApiExcludeController()
@Controller('docker/containers')
export class DockerContainersController {
  constructor(
    @Inject(DOCKER_BACKENDS) private readonly backends: DockerBackends,
    @Inject(CLOCK) private readonly clock: Clock,
  ) {}

  @Get('json')
  @RequirePermission('host:read')
  async list(@Docker() call: DockerCall): Promise<object[]> {
    const { query } = call;
    const filters = DockerFilters.parse(query.text('filters'), CONTAINER_FILTERS);
    const host = this.host(call);
    const [containers, images] = await Promise.all([host.containers({ size: query.flag('size') }), filters.has('ancestor') ? host.images() : []]);
    const selected = selectContainers(containers, filters, { all: query.flag('all'), limit: query.integer('limit') ?? 0 }, images);
    return selected.map((container) => toContainerSummary(container, this.clock.now()));
  }

  @Post('create')
  @RequirePermission('host:write')
  async create(@Docker() call: DockerCall): Promise<object> {
    const name = call.query.optional('name');
    if (name !== undefined && !NAME.test(name)) throw badParameter(`Invalid container name (${name.slice(0, 300)}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed`);
    const { request, warnings, terminal } = translateCreate(await call.json(), name);
    const host = this.host(call);
    const created = await host.createContainer(request);
    if (terminal !== undefined) await host.processes.resize(created.id, terminal);
    return { Id: created.id, Warnings: [...warnings, ...created.warnings] };
  }

  @Post('prune')
  @HttpCode(200)
  @RequirePermission('host:write')
  async prune(@Docker() call: DockerCall): Promise<object> {
    const filters = DockerFilters.parse(call.query.text('filters'), ['label', 'label!', 'until']);
    const { removed, reclaimedBytes } = await this.host(call).pruneContainers(filters.pruning(this.clock.now()));
    return { ContainersDeleted: removed.length === 0 ? null : removed, SpaceReclaimed: reclaimedBytes };
  }

  @Get(':id/json')
  @RequirePermission('host:read')
  async inspect(@Docker() call: DockerCall, @Param('id') id: string): Promise<object> {
    return toContainerInspect(await this.host(call).container(id, { size: call.query.flag('size') }));
  }

  @Post(':id/start')
  @RequirePermission('host:write')
  async start(@Docker() call: DockerCall, @Param('id') id: string, @Res() reply: FastifyReply): Promise<void> {
    const started = await this.host(call).startContainer(id);
    await reply.status(started ? 204 : 304).send();
  }

  @Post(':id/stop')
  @RequirePermission('host:write')
  async stop(@Docker() call: DockerCall, @Param('id') id: string, @Res() reply: FastifyReply): Promise<void> {
    const stopped = await this.host(call).stopContainer(id, stopOptions(call));
    await reply.status(stopped ? 204 : 304).send();
  }

  @Post(':id/restart')
  @HttpCode(204)
  @RequirePermission('host:write')
  async restart(@Docker() call: DockerCall, @Param('id') id: string): Promise<void> {
    await this.host(call).restartContainer(id, stopOptions(call));
  }

  @Post(':id/update')
  @HttpCode(200)
  @RequirePermission('host:write')
  async update(@Docker() call: DockerCall, @Param('id') id: string): Promise<object> {
    const { change, warnings } = translateUpdate(await call.json());
    const updated = await this.host(call).updateContainer(id, change);
    const all = [...warnings, ...updated.warnings];
    return { Warnings: all.length === 0 ? null : all };
  }

  @Get(':id/top')
  @RequirePermission('host:read')
  async top(@Docker() call: DockerCall, @Param('id') id: string): Promise<object> {
    const { titles, processes } = await this.host(call).containerTop(id, call.query.text('ps_args'));
    return { Titles: titles, Processes: processes };
  }

  @Post(':id/kill')
  @HttpCode(204)
  @RequirePermission('host:write')
  async kill(@Docker() call: DockerCall, @Param('id') id: string): Promise<void> {
    await this.host(call).killContainer(id, call.query.optional('signal'));
  }

  @Post(':id/pause')
  @HttpCode(204)
  @RequirePermission('host:write')
  async pause(@Docker() call: DockerCall, @Param('id') id: string): Promise<void> {
    await this.host(call).pauseContainer(id);
  }

  @Post(':id/unpause')
  @HttpCode(204)
  @RequirePermission('host:write')
  async unpause(@Docker() call: DockerCall, @Param('id') id: string): Promise<void> {
    await this.host(call).unpauseContainer(id);
  }

  @Post(':id/rename')
  @HttpCode(204)
  @RequirePermission('host:write')
  async rename(@Docker() call: DockerCall, @Param('id') id: string): Promise<void> {
    const name = call.query.text('name');
    if (name === '') throw badParameter('Neither old nor new names may be empty');
    if (!NAME.test(name)) throw badParameter(`Error when allocating new name: Invalid container name (${name.slice(0, 300)}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed`);
    await this.host(call).renameContainer(id, name.replace(/^\//, ''));
  }

  @Delete(':id')
  @HttpCode(204)
  @RequirePermission('host:write')
  async remove(@Docker() call: DockerCall, @Param('id') id: string): Promise<void> {
    if (call.query.flag('link')) {
      await this.host(call).removeLink(id);
      return;
    }
    await this.host(call).removeContainer(id, { force: call.query.flag('force'), volumes: call.query.flag('v') });
  }

  @Get(':id/changes')
  @RequirePermission('host:read')
  async changes(@Docker() call: DockerCall, @Param('id') id: string): Promise<object[] | null> {
    const changes = await this.host(call).changes(id);
    return changes.map(({ path, kind }) => ({ Path: path, Kind: KINDS[kind] }));
  }

  @Get(':id/export')
  @RequirePermission('host:read')
  async export(@Docker() call: DockerCall, @Param('id') id: string): Promise<void> {
    const tar = await this.host(call).exportContainer(id, call.signal);
    await call.send(tar as AsyncIterable<Buffer>, 'application/octet-stream');
  }

  private host(call: DockerCall): TenantHost {
    return this.backends.hosts.of(call.caller.tenant);
  }
}

function stopOptions({ query }: DockerCall): { signal?: string; timeoutSeconds?: number } {
  const signal = query.optional('signal');
  const timeoutSeconds = query.integer('t');
  return { ...(signal === undefined ? {} : { signal }), ...(timeoutSeconds === undefined ? {} : { timeoutSeconds }) };
}
