import { Body, Controller, Get, Headers, HttpCode, Param, Post, Query, Req, Res } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { createRunSchema, listRunsQuerySchema, pageSchema, runStdinSchema, runViewSchema, type CreateRun, type ListRunsQuery, type Page, type RunStdin, type RunView } from '#contracts';
import { TenantCaller } from '../auth/caller.decorator.js';
import { RequirePermission } from '../auth/permission.decorator.js';
import { ApiHeader, ApiOperation, ApiParam, ApiResponse, ApiTags } from '../docs/annotations.js';
import { Keyed } from '../docs/api-errors.decorator.js';
import { hangUpSignal } from '../protocols/rest/hang-up.js';
import { parseIdempotencyKey } from '../protocols/rest/idempotency-key.js';
import { requestContext } from '../protocols/rest/request-context.js';
import { RunInteraction } from './run-interaction.service.js';
import { createRunQuerySchema, type CreateRunQuery } from './run-requests.schema.js';
import { RunsService } from './runs.service.js';

@ApiTags('runs')
@Controller('v1/runs')
export class RunsController {
  constructor(
    private readonly runs: RunsService,
    private readonly interaction: RunInteraction,
  ) {}

  /** 202: recorded, not over. Follow it by `Location`, or its logs over WebSocket. With `?wait=true`, 200 and the result. */
  @Post()
  @RequirePermission('runs:write')
  @ApiOperation({ summary: 'Run a program in a fresh sandbox' })
  @ApiHeader({ name: 'Idempotency-Key', required: false, description: 'At most 200 visible ASCII characters. Repeating a call with the same key gives back the first run.' })
  @ApiResponse({ status: 200, description: 'With `?wait=true`: the run is over.', standardSchema: runViewSchema })
  @ApiResponse({ status: 202, description: 'Recorded; `Location` names it.', standardSchema: runViewSchema })
  @Keyed(409, 413, 415)
  async create(
    @TenantCaller() caller: TenantCaller,
    @Body({ schema: createRunSchema }) spec: CreateRun,
    @Query({ schema: createRunQuerySchema }) query: CreateRunQuery,
    @Headers('idempotency-key') idempotencyKey: string | undefined,
    @Req() request: FastifyRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<RunView> {
    const context = requestContext(request);
    const { view, final } = await this.runs.create(caller, spec, {
      requestId: context.id,
      idempotencyKey: parseIdempotencyKey(idempotencyKey),
      waitMs: query.wait ? query.waitTimeoutMs : undefined,
      hungUp: hangUpSignal(reply),
    });
    context.runId = view.id;
    void reply.status(query.wait && final ? 200 : 202).header('location', `/v1/runs/${view.id}`);
    return view;
  }

  @Get()
  @RequirePermission('runs:read')
  @ApiOperation({ summary: 'List runs, newest first' })
  @ApiResponse({ status: 200, description: 'A page; `nextCursor` leads to the next.', standardSchema: pageSchema(runViewSchema) })
  @Keyed()
  list(@TenantCaller() caller: TenantCaller, @Query({ schema: listRunsQuerySchema }) query: ListRunsQuery): Promise<Page<RunView>> {
    return this.runs.list(caller, query);
  }

  @Get(':id')
  @RequirePermission('runs:read')
  @ApiOperation({ summary: 'A run and, once it is over, its result' })
  @ApiParam({ name: 'id', example: 'run_01j9z3t5w8x2y4v6b7n8m9q0rs' })
  @ApiResponse({ status: 200, description: 'The run.', standardSchema: runViewSchema })
  @Keyed(404)
  get(@TenantCaller() caller: TenantCaller, @Param('id') id: string): Promise<RunView> {
    return this.runs.get(caller, id);
  }

  /** Idempotent. */
  @Post(':id/cancel')
  @RequirePermission('runs:write')
  @ApiOperation({ summary: 'End a run' })
  @ApiResponse({ status: 200, description: 'The run is over.', standardSchema: runViewSchema })
  @ApiResponse({ status: 202, description: 'Its node was asked to end it.', standardSchema: runViewSchema })
  @Keyed(404)
  async cancel(@TenantCaller() caller: TenantCaller, @Param('id') id: string, @Res({ passthrough: true }) reply: FastifyReply): Promise<RunView> {
    const { view, final } = await this.interaction.cancel(caller, id);
    void reply.status(final ? 200 : 202);
    return view;
  }

  @Post(':id/stdin')
  @HttpCode(204)
  @RequirePermission('runs:write')
  @ApiOperation({ summary: 'Write to the standard input of a running program' })
  @ApiResponse({ status: 204, description: 'Written.' })
  @Keyed(404, 409, 413, 415)
  stdin(@TenantCaller() caller: TenantCaller, @Param('id') id: string, @Body({ schema: runStdinSchema }) stdin: RunStdin): Promise<void> {
    return this.interaction.writeStdin(caller, id, stdin);
  }
}
