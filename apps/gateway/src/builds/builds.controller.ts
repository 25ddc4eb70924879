import { Body, Controller, Get, Headers, HttpCode, Param, Post, Query, Req, Res } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { Readable } from 'node:stream';
import { buildSummarySchema, buildViewSchema, createBuildSchema, listBuildsQuerySchema, pageSchema, type BuildSummary, type BuildView, type CreateBuild, type ListBuildsQuery, type Page } from '#contracts';
import { TenantCaller } from '../auth/caller.decorator.js';
import { RequirePermission } from '../auth/permission.decorator.js';
import { ApiConsumes, ApiHeader, ApiOperation, ApiParam, ApiResponse, ApiTags } from '../docs/annotations.js';
import { Keyed } from '../docs/api-errors.decorator.js';
import { hangUpSignal } from '../protocols/rest/hang-up.js';
import { parseIdempotencyKey } from '../protocols/rest/idempotency-key.js';
import { requestContext } from '../protocols/rest/request-context.js';
import { TakesTar, tarOr } from '../protocols/rest/tar-body.js';
import { splitRequest } from './build-request.js';
import { buildQuerySchema, OPTIONS_HEADER, tarOptions, type BuildQuery } from './build-requests.schema.js';
import { BuildsService } from './builds.service.js';

const ID = { name: 'id', example: 'bld_01j9z3t5w8x2y4v6b7n8m9q0rs' };

@ApiTags('builds')
@Controller('v1/builds')
export class BuildsController {
  constructor(private readonly builds: BuildsService) {}

  /** 202: recorded, and all of the context is there. Follow it by `Location`, or its logs over WebSocket. */
  @Post()
  @HttpCode(202)
  @RequirePermission('host:write')
  @ApiOperation({ summary: 'Build an image from a Dockerfile', description: 'The context is the body: a tar, plain, gzip or zstd, with its options in the query or in the header `x-sandbar-build`. Or the body is JSON with the files themselves, or with a Git repository.' })
  @TakesTar()
  @ApiConsumes('application/json', 'application/x-tar')
  @ApiHeader({ name: 'Idempotency-Key', required: false, description: 'At most 200 visible ASCII characters. Repeating a call with the same key gives back the first build; a tar that comes again is not looked at.' })
  @ApiHeader({ name: OPTIONS_HEADER, required: false, description: 'With a tar: base64url of the options as JSON (those of a JSON body but `files`, `dockerfileInline` and `git`). The place for secrets.' })
  @ApiResponse({ status: 202, description: 'Recorded; `Location` names it.', standardSchema: buildViewSchema })
  @Keyed(409, 413, 415)
  async create(
    @TenantCaller() caller: TenantCaller,
    @Body({ schema: tarOr(createBuildSchema) }) body: CreateBuild | Readable,
    @Query({ schema: buildQuerySchema }) query: BuildQuery,
    @Headers() headers: Readonly<Record<string, string | undefined>>,
    @Req() request: FastifyRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<BuildView> {
    const what = body instanceof Readable ? { options: tarOptions(query, headers[OPTIONS_HEADER]), source: { kind: 'context' as const }, context: body } : splitRequest(body);
    const view = await this.builds.create(caller, { ...what, requestId: requestContext(request).id, idempotencyKey: parseIdempotencyKey(headers['idempotency-key']), signal: hangUpSignal(reply) });
    void reply.header('location', `/v1/builds/${view.id}`);
    return view;
  }

  @Get()
  @RequirePermission('host:read')
  @ApiOperation({ summary: 'List builds, newest first' })
  @ApiResponse({ status: 200, description: 'A page; `nextCursor` leads to the next.', standardSchema: pageSchema(buildSummarySchema) })
  @Keyed()
  list(@TenantCaller() caller: TenantCaller, @Query({ schema: listBuildsQuerySchema }) query: ListBuildsQuery): Promise<Page<BuildSummary>> {
    return this.builds.list(caller, query);
  }

  @Get(':id')
  @RequirePermission('host:read')
  @ApiOperation({ summary: 'A build, its steps so far and, once it is over, its image or why there is none' })
  @ApiParam(ID)
  @ApiResponse({ status: 200, description: 'The build.', standardSchema: buildViewSchema })
  @Keyed(404)
  get(@TenantCaller() caller: TenantCaller, @Param('id') id: string): Promise<BuildView> {
    return this.builds.get(caller, id);
  }

  /** Idempotent. */
  @Post(':id/cancel')
  @RequirePermission('host:write')
  @ApiOperation({ summary: 'End a build' })
  @ApiParam(ID)
  @ApiResponse({ status: 200, description: 'The build is over.', standardSchema: buildViewSchema })
  @ApiResponse({ status: 202, description: 'Its node was asked to end it.', standardSchema: buildViewSchema })
  @Keyed(404)
  async cancel(@TenantCaller() caller: TenantCaller, @Param('id') id: string, @Res({ passthrough: true }) reply: FastifyReply): Promise<BuildView> {
    const { view, final } = await this.builds.cancel(caller, id);
    void reply.status(final ? 200 : 202);
    return view;
  }
}
