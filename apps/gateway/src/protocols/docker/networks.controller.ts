import { Controller, Delete, Get, HttpCode, Inject, Param, Post } from '@nestjs/common';
import { type Clock } from '#kernel';
import { RequirePermission } from '../../auth/permission.decorator.js';
import { ApiExcludeController } from '../../docs/annotations.js';
import type { HostNetworks } from '../../nodes/host-networks.js';
import { CLOCK } from '../../platform/platform.js';
import { DOCKER_BACKENDS, type DockerBackends } from './docker-backends.js';
import { Docker, DockerCall } from './docker-call.js';
import { DockerFilters } from './filters.js';
import { translateConnect, translateDisconnect, translateNetwork } from './network-requests.js';
import { acceptsNetwork, NETWORK_FILTERS, toNetwork } from './network-views.js';

@ApiExcludeController()
@Controller('docker/networks')
export class DockerNetworksController {
  constructor(
    @Inject(DOCKER_BACKENDS) private readonly backends: DockerBackends,
    @Inject(CLOCK) private readonly clock: Clock,
  ) {}

  @Get()
  @RequirePermission('host:read')
  async list(@Docker() call: DockerCall): Promise<object[]> {
    const filters = DockerFilters.parse(call.query.text('filters'), NETWORK_FILTERS);
    const networks = await this.networks(call).list();
    return networks.filter((network) => acceptsNetwork(network, filters)).map(toNetwork);
  }

  @Get(':id')
  @RequirePermission('host:read')
  async inspect(@Docker() call: DockerCall, @Param('id') id: string): Promise<object> {
    return toNetwork(await this.networks(call).get(id));
  }

  @Post('create')
  @RequirePermission('host:write')
  async create(@Docker() call: DockerCall): Promise<object> {
    const { id } = await this.networks(call).create(translateNetwork(await call.json()));
    return { Id: id, Warning: '' };
  }

  @Post('prune')
  @HttpCode(200)
  @RequirePermission('host:write')
  async prune(@Docker() call: DockerCall): Promise<object> {
    const filters = DockerFilters.parse(call.query.text('filters'), ['label', 'label!', 'until']);
    const { removed } = await this.networks(call).prune(filters.pruning(this.clock.now()));
    return { NetworksDeleted: removed.length === 0 ? null : removed };
  }

  @Post(':id/connect')
  @HttpCode(200)
  @RequirePermission('host:write')
  async connect(@Docker() call: DockerCall, @Param('id') id: string): Promise<void> {
    await this.networks(call).connect(id, translateConnect(await call.json()));
  }

  @Post(':id/disconnect')
  @HttpCode(200)
  @RequirePermission('host:write')
  async disconnect(@Docker() call: DockerCall, @Param('id') id: string): Promise<void> {
    await this.networks(call).disconnect(id, translateDisconnect(await call.json()));
  }

  @Delete(':id')
  @HttpCode(204)
  @RequirePermission('host:write')
  async remove(@Docker() call: DockerCall, @Param('id') id: string): Promise<void> {
    await this.networks(call).remove(id);
  }

  private networks(call: DockerCall): HostNetworks {
    return this.backends.hosts.of(call.caller.tenant).networks;
  }
}
