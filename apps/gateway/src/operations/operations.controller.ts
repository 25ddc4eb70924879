import { Controller, Get, Inject, Param, Post, Query, Res } from '@nestjs/common';
import type { FastifyReply } from 'fastify';
import { Readable } from 'node:stream';
import { operationViewSchema, pageSchema, type OperationView, type Page } from '#contracts';
import { TenantCaller } from '../auth/caller.decorator.js';
import { RequirePermission } from '../auth/permission.decorator.js';
import { ApiOperation, ApiResponse, ApiTags } from '../docs/annotations.js';
import { Keyed } from '../docs/api-errors.decorator.js';
import { Lifecycle } from '../platform/lifecycle.js';
import { SETTINGS } from '../platform/platform.js';
import type { GatewaySettings } from '../platform/settings.js';
import { hangUpSignal } from '../protocols/rest/hang-up.js';
import { jsonLines } from '../protocols/rest/json-lines.js';
import { listOperationsQuerySchema, progressQuerySchema, type ListOperationsQuery, type ProgressQuery } from './operation-requests.schema.js';
import { OperationsService } from './operations.service.js';

@ApiTags('operations')
@Controller('v1/operations')
export class OperationsController {
  constructor(
    private readonly operations: OperationsService,
    private readonly lifecycle: Lifecycle,
    @Inject(SETTINGS) private readonly settings: GatewaySettings,
  ) {}

  @Get()
  @RequirePermission('host:read')
  @ApiOperation({ summary: 'List pulls and pushes, newest first' })
  @ApiResponse({ status: 200, description: 'A page; `nextCursor` leads to the next.', standardSchema: pageSchema(operationViewSchema) })
  @Keyed()
  list(@TenantCaller() caller: TenantCaller, @Query({ schema: listOperationsQuerySchema }) query: ListOperationsQuery): Promise<Page<OperationView>> {
    return this.operations.list(caller, query);
  }

  @Get(':id')
  @RequirePermission('host:read')
  @ApiOperation({ summary: 'A pull or push and, once it is over, its result' })
  @ApiResponse({ status: 200, description: 'The operation.', standardSchema: operationViewSchema })
  @Keyed(404)
  get(@TenantCaller() caller: TenantCaller, @Param('id') id: string): Promise<OperationView> {
    return this.operations.get(caller, id);
  }

  /** Idempotent. */
  @Post(':id/cancel')
  @RequirePermission('host:write')
  @ApiOperation({ summary: 'End a pull or push' })
  @ApiResponse({ status: 200, description: 'The operation is over.', standardSchema: operationViewSchema })
  @ApiResponse({ status: 202, description: 'Its node was asked to end it.', standardSchema: operationViewSchema })
  @Keyed(404)
  async cancel(@TenantCaller() caller: TenantCaller, @Param('id') id: string, @Res({ passthrough: true }) reply: FastifyReply): Promise<OperationView> {
    const { view, final } = await this.operations.cancel(caller, id);
    void reply.status(final ? 200 : 202);
    return view;
  }

  /** An answer that ends without a line that has `end` is not complete: ask again with `after`. */
  @Get(':id/progress')
  @RequirePermission('host:read')
  @ApiOperation({ summary: 'The progress of a pull or push', description: 'One JSON object a line, numbered by `seq`; the last one has `"end":true` and `error` or `aux`.' })
  @ApiResponse({ status: 200, description: 'Lines.', content: { 'application/x-ndjson': { schema: { type: 'string' } } } })
  @Keyed(404)
  async progress(@TenantCaller() caller: TenantCaller, @Param('id') id: string, @Query({ schema: progressQuerySchema }) { after }: ProgressQuery, @Res() reply: FastifyReply): Promise<void> {
    // A refusal can still be an answer.
    await this.operations.get(caller, id);
    const over = AbortSignal.any([hangUpSignal(reply), this.lifecycle.draining]);
    const cut = (): void => {
      reply.raw.destroy();
    };
    const source = this.operations.follow(caller.tenant.id, id, after, over);
    const lines = Readable.from(jsonLines(source, () => setTimeout(cut, this.settings.stallMs)), { objectMode: false, highWaterMark: 64 * 1024 });
    await reply.type('application/x-ndjson').header('cache-control', 'no-store').send(lines);
  }
}
