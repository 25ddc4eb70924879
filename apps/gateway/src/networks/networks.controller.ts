import { Body, Controller, Delete, Get, HttpCode, Param, Post } from '@nestjs/common';
import { z } from 'zod';
import {
  connectNetworkSchema,
  createNetworkSchema,
  disconnectNetworkSchema,
  networkViewSchema,
  type ConnectNetworkBody,
  type CreateNetworkBody,
  type DisconnectNetworkBody,
  type NetworkView,
} from '#contracts';
import { TenantCaller } from '../auth/caller.decorator.js';
import { RequirePermission } from '../auth/permission.decorator.js';
import { ApiOperation, ApiParam, ApiResponse, ApiTags } from '../docs/annotations.js';
import { Keyed } from '../docs/api-errors.decorator.js';
import { prunedNetworksSchema, pruneNetworksSchema, type PruneNetworks } from './network-requests.schema.js';
import { NetworksService } from './networks.service.js';

const REF = { name: 'ref', description: 'Name, ID or a unique prefix of the ID.', example: 'front' };

@ApiTags('networks')
@Controller('v1/networks')
export class NetworksController {
  constructor(private readonly networks: NetworksService) {}

  @Get()
  @RequirePermission('host:read')
  @ApiOperation({ summary: 'List networks' })
  @ApiResponse({ status: 200, description: "`bridge`, `host` and `none`, then one's own, oldest first.", standardSchema: z.object({ items: z.array(networkViewSchema) }) })
  @Keyed()
  list(@TenantCaller() caller: TenantCaller): Promise<{ items: NetworkView[] }> {
    return this.networks.list(caller);
  }

  @Post()
  @HttpCode(201)
  @RequirePermission('host:write')
  @ApiOperation({ summary: 'Make a network', description: 'Containers on it find each other by name, and reach nothing of other networks.' })
  @ApiResponse({ status: 201, description: 'It is there.', standardSchema: networkViewSchema })
  @Keyed(409, 413, 415)
  create(@TenantCaller() caller: TenantCaller, @Body({ schema: createNetworkSchema }) request: CreateNetworkBody): Promise<NetworkView> {
    return this.networks.create(caller, request);
  }

  @Post('prune')
  @HttpCode(200)
  @RequirePermission('host:write')
  @ApiOperation({ summary: 'Remove networks that no running container is on' })
  @ApiResponse({ status: 200, description: 'What is gone, by name.', standardSchema: prunedNetworksSchema })
  @Keyed(413, 415)
  prune(@TenantCaller() caller: TenantCaller, @Body({ schema: pruneNetworksSchema }) filter: PruneNetworks): Promise<{ removed: string[] }> {
    return this.networks.prune(caller, filter);
  }

  @Get(':ref')
  @RequirePermission('host:read')
  @ApiOperation({ summary: 'A network and who is on it' })
  @ApiParam(REF)
  @ApiResponse({ status: 200, description: 'The network.', standardSchema: networkViewSchema })
  @Keyed(404)
  get(@TenantCaller() caller: TenantCaller, @Param('ref') ref: string): Promise<NetworkView> {
    return this.networks.get(caller, ref);
  }

  @Delete(':ref')
  @HttpCode(204)
  @RequirePermission('host:write')
  @ApiOperation({ summary: 'Remove a network' })
  @ApiParam(REF)
  @ApiResponse({ status: 204, description: 'It is gone.' })
  @Keyed(404, 409)
  remove(@TenantCaller() caller: TenantCaller, @Param('ref') ref: string): Promise<void> {
    return this.networks.remove(caller, ref);
  }

  /** A container that does not run is connected with its next start. */
  @Post(':ref/connect')
  @HttpCode(204)
  @RequirePermission('host:write')
  @ApiOperation({ summary: 'Connect a container' })
  @ApiParam(REF)
  @ApiResponse({ status: 204, description: 'It is connected.' })
  @Keyed(404, 409, 413, 415)
  connect(@TenantCaller() caller: TenantCaller, @Param('ref') ref: string, @Body({ schema: connectNetworkSchema }) request: ConnectNetworkBody): Promise<void> {
    return this.networks.connect(caller, ref, request);
  }

  @Post(':ref/disconnect')
  @HttpCode(204)
  @RequirePermission('host:write')
  @ApiOperation({ summary: 'Disconnect a container' })
  @ApiParam(REF)
  @ApiResponse({ status: 204, description: 'It is not connected any more.' })
  @Keyed(404, 409, 413, 415)
  disconnect(@TenantCaller() caller: TenantCaller, @Param('ref') ref: string, @Body({ schema: disconnectNetworkSchema }) request: DisconnectNetworkBody): Promise<void> {
    return this.networks.disconnect(caller, ref, request);
  }
}
