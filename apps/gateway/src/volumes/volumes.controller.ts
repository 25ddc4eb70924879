import { Body, Controller, Delete, Get, HttpCode, Param, Post, Put, Query, Req, Res } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { z } from 'zod';
import { createVolumeSchema, volumeViewSchema, type CreateVolumeBody, type VolumeView } from '#contracts';
import { TenantCaller } from '../auth/caller.decorator.js';
import { RequirePermission } from '../auth/permission.decorator.js';
import { ApiConsumes, ApiOperation, ApiParam, ApiResponse, ApiTags } from '../docs/annotations.js';
import { Keyed } from '../docs/api-errors.decorator.js';
import { hangUpSignal } from '../protocols/rest/hang-up.js';
import { TakesTar, tarBody } from '../protocols/rest/tar-body.js';
import {
  listVolumesQuerySchema,
  prunedVolumesSchema,
  pruneVolumesSchema,
  removeVolumeQuerySchema,
  type ListVolumesQuery,
  type PruneVolumes,
  type RemoveVolumeQuery,
} from './volume-requests.schema.js';
import { VolumesService } from './volumes.service.js';

const NAME = { name: 'name', example: 'data' };

@ApiTags('volumes')
@Controller('v1/volumes')
export class VolumesController {
  constructor(private readonly volumes: VolumesService) {}

  @Get()
  @RequirePermission('host:read')
  @ApiOperation({ summary: 'List volumes' })
  @ApiResponse({ status: 200, description: 'All of them, by name.', standardSchema: z.object({ items: z.array(volumeViewSchema) }) })
  @Keyed()
  list(@TenantCaller() caller: TenantCaller, @Query({ schema: listVolumesQuerySchema }) query: ListVolumesQuery): Promise<{ items: VolumeView[] }> {
    return this.volumes.list(caller, query);
  }

  /** Idempotent by name when the options are the same. */
  @Post()
  @HttpCode(201)
  @RequirePermission('host:write')
  @ApiOperation({ summary: 'Make a volume' })
  @ApiResponse({ status: 201, description: 'It is there.', standardSchema: volumeViewSchema })
  @Keyed(409, 413, 415)
  create(@TenantCaller() caller: TenantCaller, @Body({ schema: createVolumeSchema }) request: CreateVolumeBody): Promise<VolumeView> {
    return this.volumes.create(caller, request);
  }

  @Post('prune')
  @HttpCode(200)
  @RequirePermission('host:write')
  @ApiOperation({ summary: 'Remove volumes that no container holds' })
  @ApiResponse({ status: 200, description: 'What is gone.', standardSchema: prunedVolumesSchema })
  @Keyed(413, 415)
  prune(@TenantCaller() caller: TenantCaller, @Body({ schema: pruneVolumesSchema }) filter: PruneVolumes): Promise<{ removed: string[]; reclaimedBytes: number }> {
    return this.volumes.prune(caller, filter);
  }

  @Get(':name')
  @RequirePermission('host:read')
  @ApiOperation({ summary: 'A volume' })
  @ApiParam(NAME)
  @ApiResponse({ status: 200, description: 'The volume.', standardSchema: volumeViewSchema })
  @Keyed(404)
  get(@TenantCaller() caller: TenantCaller, @Param('name') name: string): Promise<VolumeView> {
    return this.volumes.get(caller, name);
  }

  @Delete(':name')
  @HttpCode(204)
  @RequirePermission('host:write')
  @ApiOperation({ summary: 'Remove a volume and what it holds' })
  @ApiParam(NAME)
  @ApiResponse({ status: 204, description: 'It is gone.' })
  @Keyed(404, 409)
  remove(@TenantCaller() caller: TenantCaller, @Param('name') name: string, @Query({ schema: removeVolumeQuerySchema }) query: RemoveVolumeQuery): Promise<void> {
    return this.volumes.remove(caller, name, query);
  }

  /** An answer that ends without its last byte is not complete. */
  @Get(':name/archive')
  @RequirePermission('host:read')
  @ApiOperation({ summary: 'Back up: the content of a volume as a tar' })
  @ApiParam(NAME)
  @ApiResponse({ status: 200, description: 'A tar.', content: { 'application/x-tar': { schema: { type: 'string', format: 'binary' } } } })
  @Keyed(404)
  async pack(@TenantCaller() caller: TenantCaller, @Param('name') name: string, @Res() reply: FastifyReply): Promise<void> {
    const stream = await this.volumes.pack(caller, name, hangUpSignal(reply));
    await reply.type('application/x-tar').header('cache-control', 'no-store').send(stream);
  }

  /** Over what is there. Not atomic: a failure leaves a part. */
  @Put(':name/archive')
  @HttpCode(204)
  @RequirePermission('host:write')
  @ApiOperation({ summary: 'Restore: extract a tar into a volume', description: 'Plain, gzip or zstd.' })
  @ApiParam(NAME)
  @TakesTar()
  @ApiConsumes('application/x-tar')
  @ApiResponse({ status: 204, description: 'Extracted.' })
  @Keyed(404, 415)
  extract(@TenantCaller() caller: TenantCaller, @Param('name') name: string, @Req() request: FastifyRequest, @Res({ passthrough: true }) reply: FastifyReply): Promise<void> {
    return this.volumes.extract(caller, name, tarBody(request), hangUpSignal(reply));
  }
}
