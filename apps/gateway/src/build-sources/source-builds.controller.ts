import { Body, Controller, Get, HttpCode, Param, Post, Query, Req, Res } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { buildDeliveryViewSchema, buildNowSchema, buildViewSchema, listBuildSourcesQuerySchema, pageSchema, type BuildDeliveryView, type BuildNow, type BuildView, type ListBuildSourcesQuery, type Page } from '#contracts';
import { TenantCaller } from '../auth/caller.decorator.js';
import { RequirePermission } from '../auth/permission.decorator.js';
import { toBuildView } from '../builds/build-view.js';
import { ApiOperation, ApiParam, ApiResponse, ApiTags } from '../docs/annotations.js';
import { Keyed } from '../docs/api-errors.decorator.js';
import { requestContext } from '../protocols/rest/request-context.js';
import { BuildSourcesService } from './build-sources.service.js';
import { SourceBuilds } from './source-builds.service.js';

const REF = { name: 'ref', description: 'Name or id.', example: 'web' };

@ApiTags('build sources')
@Controller('v1/build-sources')
export class SourceBuildsController {
  constructor(
    private readonly sources: BuildSourcesService,
    private readonly builds: SourceBuilds,
  ) {}

  @Post(':ref/builds')
  @HttpCode(202)
  @RequirePermission('host:write')
  @ApiOperation({ summary: 'Build a source now, without a push' })
  @ApiParam(REF)
  @ApiResponse({ status: 202, description: 'Queued; `Location` names the build.', standardSchema: buildViewSchema })
  @Keyed(404)
  async build(@TenantCaller() caller: TenantCaller, @Param('ref') ref: string, @Body({ schema: buildNowSchema }) what: BuildNow, @Req() request: FastifyRequest, @Res({ passthrough: true }) reply: FastifyReply): Promise<BuildView> {
    const build = await this.builds.startNow(caller, await this.sources.find(caller, ref), what, requestContext(request).id);
    void reply.header('location', `/v1/builds/${build.id}`);
    return toBuildView(build, []);
  }

  @Get(':ref/deliveries')
  @RequirePermission('host:read')
  @ApiOperation({ summary: 'What came to the webhook of a source, newest first', description: 'The last hundred.' })
  @ApiParam(REF)
  @ApiResponse({ status: 200, description: 'A page; `nextCursor` leads to the next.', standardSchema: pageSchema(buildDeliveryViewSchema) })
  @Keyed(404)
  deliveries(@TenantCaller() caller: TenantCaller, @Param('ref') ref: string, @Query({ schema: listBuildSourcesQuerySchema }) query: ListBuildSourcesQuery): Promise<Page<BuildDeliveryView>> {
    return this.sources.deliveries(caller, ref, query);
  }
}
