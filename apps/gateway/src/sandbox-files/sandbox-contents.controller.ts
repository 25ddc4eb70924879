import { Controller, Get, Param, Put, Query, Req, Res } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { fileStatSchema, type FileStatView } from '#contracts';
import { TenantCaller } from '../auth/caller.decorator.js';
import { RequirePermission } from '../auth/permission.decorator.js';
import { ApiConsumes, ApiHeader, ApiOperation, ApiParam, ApiResponse, ApiTags } from '../docs/annotations.js';
import { Keyed } from '../docs/api-errors.decorator.js';
import { hangUpSignal } from '../protocols/rest/hang-up.js';
import { requestContext } from '../protocols/rest/request-context.js';
import { toErrorBody } from '../protocols/rest/rest-error.js';
import { TakesBytes, tarBody, TakesTar } from '../protocols/rest/tar-body.js';
import { parseRange, satisfied } from './byte-range.js';
import {
  archiveQuerySchema,
  contentQuerySchema,
  putArchiveQuerySchema,
  putContentQuerySchema,
  type ArchiveQuery,
  type ContentQuery,
  type PutArchiveQuery,
  type PutContentQuery,
} from './file-requests.schema.js';
import { SANDBOX_ID } from '../sandboxes/sandboxes.controller.js';
import { SandboxFilesService } from './sandbox-files.service.js';

const BYTES = { schema: { type: 'string', format: 'binary' } } as const;
/** What is in a file is its writer's: a browser is to show none of it as a page of ours. */
const AS_DATA = { 'cache-control': 'no-store', 'content-disposition': 'attachment', 'x-content-type-options': 'nosniff', 'accept-ranges': 'bytes' } as const;

/** Bytes from and to the files of a sandbox. */
@ApiTags('sandbox files')
@Controller('v1/sandboxes/:id/files')
export class SandboxContentsController {
  constructor(private readonly files: SandboxFilesService) {}

  /** An answer that ends without its last byte is not complete. */
  @Get('content')
  @RequirePermission('host:read')
  @ApiOperation({ summary: 'Read a file' })
  @ApiParam(SANDBOX_ID)
  @ApiHeader({ name: 'Range', required: false, description: 'One range of bytes.', example: 'bytes=0-1023' })
  @ApiResponse({ status: 200, description: 'Its bytes.', content: { 'application/octet-stream': BYTES } })
  @ApiResponse({ status: 206, description: 'Those that were asked for.', content: { 'application/octet-stream': BYTES } })
  @Keyed(404, 409, 416)
  async read(@TenantCaller() caller: TenantCaller, @Param('id') id: string, @Query({ schema: contentQuerySchema }) { path }: ContentQuery, @Req() request: FastifyRequest, @Res() reply: FastifyReply): Promise<void> {
    // There is no validator that `If-Range` could hold against the file as it is now.
    const range = request.headers['if-range'] === undefined ? parseRange(request.headers.range) : undefined;
    const { stat, bytes } = await this.files.read(caller, id, path, range ?? { offset: 0 }, hangUpSignal(reply));
    const part = satisfied(range ?? { offset: 0 }, stat.sizeBytes);
    if (range !== undefined && part === undefined) {
      bytes.destroy();
      const refusal = { code: 'invalid_argument', message: `the file has ${stat.sizeBytes} bytes`, details: { sizeBytes: stat.sizeBytes } } as const;
      await reply.status(416).header('content-range', `bytes */${stat.sizeBytes}`).send(toErrorBody(refusal, requestContext(request).id));
      return;
    }
    const { start, length } = part ?? { start: 0, length: 0 };
    if (range !== undefined) void reply.status(206).header('content-range', `bytes ${start}-${start + length - 1}/${stat.sizeBytes}`);
    await reply.type('application/octet-stream').headers({ ...AS_DATA, 'last-modified': new Date(stat.modifiedAt).toUTCString(), 'content-length': String(length) }).send(bytes);
  }

  @Put('content')
  @RequirePermission('host:write')
  @ApiOperation({ summary: 'Write a file', description: 'Whole or not at all; missing directories are made. The body is the content, of any type and length.' })
  @ApiParam(SANDBOX_ID)
  @TakesBytes()
  @ApiConsumes('application/octet-stream')
  @ApiResponse({ status: 200, description: 'It is there.', standardSchema: fileStatSchema })
  @Keyed(404, 409)
  write(@TenantCaller() caller: TenantCaller, @Param('id') id: string, @Query({ schema: putContentQuerySchema }) query: PutContentQuery, @Req() request: FastifyRequest, @Res({ passthrough: true }) reply: FastifyReply): Promise<FileStatView> {
    return this.files.write(caller, id, query, tarBody(request), hangUpSignal(reply));
  }

  @Get('archive')
  @RequirePermission('host:read')
  @ApiOperation({ summary: 'A file or a directory as a tar' })
  @ApiParam(SANDBOX_ID)
  @ApiResponse({ status: 200, description: 'A tar.', content: { 'application/x-tar': BYTES } })
  @Keyed(404, 409)
  async pack(@TenantCaller() caller: TenantCaller, @Param('id') id: string, @Query({ schema: archiveQuerySchema }) query: ArchiveQuery, @Res() reply: FastifyReply): Promise<void> {
    const { bytes } = await this.files.pack(caller, id, query, hangUpSignal(reply));
    await reply.type('application/x-tar').header('cache-control', 'no-store').send(bytes);
  }

  /** Not atomic: a failure leaves a part. */
  @Put('archive')
  @RequirePermission('host:write')
  @ApiOperation({ summary: 'Extract a tar into a directory', description: 'Plain, gzip or zstd. Directories and other files do not take each other’s place.' })
  @ApiParam(SANDBOX_ID)
  @TakesTar()
  @ApiConsumes('application/x-tar')
  @ApiResponse({ status: 200, description: 'Extracted.' })
  @Keyed(404, 409, 415)
  async extract(@TenantCaller() caller: TenantCaller, @Param('id') id: string, @Query({ schema: putArchiveQuerySchema }) query: PutArchiveQuery, @Req() request: FastifyRequest, @Res({ passthrough: true }) reply: FastifyReply): Promise<object> {
    await this.files.extract(caller, id, query, tarBody(request), hangUpSignal(reply));
    return {};
  }
}
