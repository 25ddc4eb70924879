import { Body, Controller, Delete, Get, HttpCode, Param, Post, Query } from '@nestjs/common';
import { makeDirectorySchema, moveFileSchema, type MakeDirectoryBody, type MoveFileBody } from '#contracts';
import { TenantCaller } from '../auth/caller.decorator.js';
import { RequirePermission } from '../auth/permission.decorator.js';
import { ApiOperation, ApiParam, ApiResponse, ApiTags } from '../docs/annotations.js';
import { Keyed } from '../docs/api-errors.decorator.js';
import { fileQuerySchema, fileViewSchema, removeFileQuerySchema, type FileQuery, type FileView, type RemoveFileQuery } from './file-requests.schema.js';
import { SANDBOX_ID } from '../sandboxes/sandboxes.controller.js';
import { SandboxFilesService } from './sandbox-files.service.js';

/** Files of a sandbox as its own root sees them, volumes and tmpfs included; of one that does not run, without tmpfs. */
@ApiTags('sandbox files')
@Controller('v1/sandboxes/:id/files')
export class SandboxFilesController {
  constructor(private readonly files: SandboxFilesService) {}

  @Get()
  @RequirePermission('host:read')
  @ApiOperation({ summary: 'What is at a path', description: 'A link at its end is told and not followed, unless a slash stands behind it. At most 20,000 entries.' })
  @ApiParam(SANDBOX_ID)
  @ApiResponse({ status: 200, description: 'The file.', standardSchema: fileViewSchema })
  @Keyed(404, 409)
  get(@TenantCaller() caller: TenantCaller, @Param('id') id: string, @Query({ schema: fileQuerySchema }) query: FileQuery): Promise<FileView> {
    return this.files.get(caller, id, query);
  }

  @Post('directories')
  @HttpCode(204)
  @RequirePermission('host:write')
  @ApiOperation({ summary: 'Make a directory' })
  @ApiParam(SANDBOX_ID)
  @ApiResponse({ status: 204, description: 'It is there.' })
  @Keyed(404, 409, 413, 415)
  makeDirectory(@TenantCaller() caller: TenantCaller, @Param('id') id: string, @Body({ schema: makeDirectorySchema }) request: MakeDirectoryBody): Promise<void> {
    return this.files.makeDirectory(caller, id, request);
  }

  @Post('moves')
  @HttpCode(204)
  @RequirePermission('host:write')
  @ApiOperation({ summary: 'Move or rename', description: 'Atomic, but for moves between volumes and of directories that the image has: those are copied, then removed.' })
  @ApiParam(SANDBOX_ID)
  @ApiResponse({ status: 204, description: 'It is there.' })
  @Keyed(404, 409, 413, 415)
  move(@TenantCaller() caller: TenantCaller, @Param('id') id: string, @Body({ schema: moveFileSchema }) request: MoveFileBody): Promise<void> {
    return this.files.move(caller, id, request);
  }

  @Delete()
  @HttpCode(204)
  @RequirePermission('host:write')
  @ApiOperation({ summary: 'Remove a file or a directory' })
  @ApiParam(SANDBOX_ID)
  @ApiResponse({ status: 204, description: 'It is gone.' })
  @Keyed(404, 409)
  remove(@TenantCaller() caller: TenantCaller, @Param('id') id: string, @Query({ schema: removeFileQuerySchema }) query: RemoveFileQuery): Promise<void> {
    return this.files.remove(caller, id, query);
  }
}
