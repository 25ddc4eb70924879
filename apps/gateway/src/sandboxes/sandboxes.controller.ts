import { Body, Controller, Delete, Get, Headers, HttpCode, Param, Post, Query, Res } from '@nestjs/common';
import type { FastifyReply } from 'fastify';
import { createSandboxSchema, pageSchema, sandboxViewSchema, type CreateSandbox, type Page, type SandboxView } from '#contracts';
import { TenantCaller } from '../auth/caller.decorator.js';
import { RequirePermission } from '../auth/permission.decorator.js';
import { ApiHeader, ApiOperation, ApiParam, ApiResponse, ApiTags } from '../docs/annotations.js';
import { Keyed } from '../docs/api-errors.decorator.js';
import { parseIdempotencyKey } from '../protocols/rest/idempotency-key.js';
import { listSandboxesQuerySchema, removeSandboxQuerySchema, type ListSandboxesQuery, type RemoveSandboxQuery } from './sandbox-requests.schema.js';
import { SandboxesService } from './sandboxes.service.js';

export const SANDBOX_ID = { name: 'id', description: 'The ID, the unique beginning of one, or the name.', example: 'web' };

@ApiTags('sandboxes')
@Controller('v1/sandboxes')
export class SandboxesController {
  constructor(private readonly sandboxes: SandboxesService) {}

  @Post()
  @HttpCode(201)
  @RequirePermission('host:write')
  @ApiOperation({ summary: 'Make a sandbox that stays', description: 'Of an image or of a runtime; started unless `start` is false. One that cannot be started is taken back.' })
  @ApiHeader({ name: 'Idempotency-Key', required: false, description: 'At most 200 visible ASCII characters. Repeating a call with the same key gives back the first sandbox, as long as it is there.' })
  @ApiResponse({ status: 201, description: 'It is there; `Location` names it.', standardSchema: sandboxViewSchema })
  @Keyed(404, 409, 413, 415)
  async create(
    @TenantCaller() caller: TenantCaller,
    @Body({ schema: createSandboxSchema }) sandbox: CreateSandbox,
    @Headers('idempotency-key') idempotencyKey: string | undefined,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<SandboxView> {
    const view = await this.sandboxes.create(caller, sandbox, parseIdempotencyKey(idempotencyKey));
    void reply.header('location', `/v1/sandboxes/${view.id}`);
    return view;
  }

  @Get()
  @RequirePermission('host:read')
  @ApiOperation({ summary: 'List sandboxes, newest first', description: "All containers of the tenant's virtual host, Docker's too." })
  @ApiResponse({ status: 200, description: 'A page; `nextCursor` leads to the next.', standardSchema: pageSchema(sandboxViewSchema) })
  @Keyed()
  list(@TenantCaller() caller: TenantCaller, @Query({ schema: listSandboxesQuerySchema }) query: ListSandboxesQuery): Promise<Page<SandboxView>> {
    return this.sandboxes.list(caller, query);
  }

  @Get(':id')
  @RequirePermission('host:read')
  @ApiOperation({ summary: 'A sandbox' })
  @ApiParam(SANDBOX_ID)
  @ApiResponse({ status: 200, description: 'The sandbox.', standardSchema: sandboxViewSchema })
  @Keyed(404)
  get(@TenantCaller() caller: TenantCaller, @Param('id') id: string): Promise<SandboxView> {
    return this.sandboxes.get(caller, id);
  }

  @Delete(':id')
  @HttpCode(204)
  @RequirePermission('host:write')
  @ApiOperation({ summary: 'Remove a sandbox and its files' })
  @ApiParam(SANDBOX_ID)
  @ApiResponse({ status: 204, description: 'It is gone.' })
  @Keyed(404, 409)
  remove(@TenantCaller() caller: TenantCaller, @Param('id') id: string, @Query({ schema: removeSandboxQuerySchema }) query: RemoveSandboxQuery): Promise<void> {
    return this.sandboxes.remove(caller, id, query);
  }
}
