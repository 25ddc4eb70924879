import { Body, Controller, Delete, Get, HttpCode, Param, Patch, Post, Query } from '@nestjs/common';
import {
  buildSourceViewSchema,
  createBuildSourceSchema,
  createdBuildSourceSchema,
  listBuildSourcesQuerySchema,
  pageSchema,
  updateBuildSourceSchema,
  type BuildSourceView,
  type CreateBuildSource,
  type CreatedBuildSource,
  type ListBuildSourcesQuery,
  type Page,
  type UpdateBuildSource,
} from '#contracts';
import { TenantCaller } from '../auth/caller.decorator.js';
import { RequirePermission } from '../auth/permission.decorator.js';
import { ApiOperation, ApiParam, ApiResponse, ApiTags } from '../docs/annotations.js';
import { Keyed } from '../docs/api-errors.decorator.js';
import { BuildSourcesService } from './build-sources.service.js';

const REF = { name: 'ref', description: 'Name or id.', example: 'web' };

@ApiTags('build sources')
@Controller('v1/build-sources')
export class BuildSourcesController {
  constructor(private readonly sources: BuildSourcesService) {}

  @Post()
  @RequirePermission('host:write')
  @ApiOperation({ summary: 'Register a repository whose pushes build an image', description: 'Give `webhookPath` (behind the address of this server) and `webhookSecret` to the host of the repository. The answer is the only place where the secret stands.' })
  @ApiResponse({ status: 201, description: 'Registered.', standardSchema: createdBuildSourceSchema })
  @Keyed(409)
  create(@TenantCaller() caller: TenantCaller, @Body({ schema: createBuildSourceSchema }) source: CreateBuildSource): Promise<CreatedBuildSource> {
    return this.sources.create(caller, source);
  }

  @Get()
  @RequirePermission('host:read')
  @ApiOperation({ summary: 'List build sources, oldest first' })
  @ApiResponse({ status: 200, description: 'A page; `nextCursor` leads to the next.', standardSchema: pageSchema(buildSourceViewSchema) })
  @Keyed()
  list(@TenantCaller() caller: TenantCaller, @Query({ schema: listBuildSourcesQuerySchema }) query: ListBuildSourcesQuery): Promise<Page<BuildSourceView>> {
    return this.sources.list(caller, query);
  }

  @Get(':ref')
  @RequirePermission('host:read')
  @ApiOperation({ summary: 'A build source, without its secrets' })
  @ApiParam(REF)
  @ApiResponse({ status: 200, description: 'The source.', standardSchema: buildSourceViewSchema })
  @Keyed(404)
  get(@TenantCaller() caller: TenantCaller, @Param('ref') ref: string): Promise<BuildSourceView> {
    return this.sources.get(caller, ref);
  }

  @Patch(':ref')
  @RequirePermission('host:write')
  @ApiOperation({ summary: 'Change a build source', description: 'What is given takes the place of what was, as a whole; the rest stays.' })
  @ApiParam(REF)
  @ApiResponse({ status: 200, description: 'Changed.', standardSchema: buildSourceViewSchema })
  @Keyed(404, 409)
  update(@TenantCaller() caller: TenantCaller, @Param('ref') ref: string, @Body({ schema: updateBuildSourceSchema }) change: UpdateBuildSource): Promise<BuildSourceView> {
    return this.sources.update(caller, ref, change);
  }

  @Delete(':ref')
  @HttpCode(204)
  @RequirePermission('host:write')
  @ApiOperation({ summary: 'Forget a build source; its builds and images stay' })
  @ApiParam(REF)
  @ApiResponse({ status: 204, description: 'Forgotten: its webhook answers as one that never was.' })
  @Keyed(404)
  delete(@TenantCaller() caller: TenantCaller, @Param('ref') ref: string): Promise<void> {
    return this.sources.delete(caller, ref);
  }

  @Post(':ref/secret')
  @RequirePermission('host:write')
  @ApiOperation({ summary: 'Make a new secret for the webhook', description: 'The old one is worth nothing from now on. The answer is the only place where the new one stands.' })
  @ApiParam(REF)
  @ApiResponse({ status: 201, description: 'Made.', standardSchema: createdBuildSourceSchema })
  @Keyed(404, 409)
  rotateSecret(@TenantCaller() caller: TenantCaller, @Param('ref') ref: string): Promise<CreatedBuildSource> {
    return this.sources.rotateSecret(caller, ref);
  }
}
