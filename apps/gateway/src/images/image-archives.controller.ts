import { Controller, Get, HttpCode, Post, Query, Req, Res } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { TenantCaller } from '../auth/caller.decorator.js';
import { RequirePermission } from '../auth/permission.decorator.js';
import { ApiConsumes, ApiOperation, ApiResponse, ApiTags } from '../docs/annotations.js';
import { Keyed } from '../docs/api-errors.decorator.js';
import { hangUpSignal } from '../protocols/rest/hang-up.js';
import { TakesTar, tarBody } from '../protocols/rest/tar-body.js';
import { archiveQuerySchema, importedImageSchema, importImageQuerySchema, loadedImagesSchema, type ArchiveQuery, type ImportedImage, type ImportImageQuery, type LoadedImages } from './image-requests.schema.js';
import { ImageUploads } from './image-uploads.service.js';
import { ImagesService } from './images.service.js';

@ApiTags('images')
@Controller('v1/images')
export class ImageArchivesController {
  constructor(
    private readonly images: ImagesService,
    private readonly uploads: ImageUploads,
  ) {}

  /** An OCI image layout that Docker's `load` reads too. An answer that ends without its last byte is not complete. */
  @Get('archive')
  @RequirePermission('host:read')
  @ApiOperation({ summary: 'Save images as an archive' })
  @ApiResponse({ status: 200, description: 'A tar.', content: { 'application/x-tar': { schema: { type: 'string', format: 'binary' } } } })
  @Keyed(404)
  async save(@TenantCaller() caller: TenantCaller, @Query({ schema: archiveQuerySchema }) { name }: ArchiveQuery, @Res() reply: FastifyReply): Promise<void> {
    const stream = await this.images.save(caller, name, hangUpSignal(reply));
    await reply.type('application/x-tar').header('cache-control', 'no-store').send(stream);
  }

  @Post('load')
  @HttpCode(200)
  @RequirePermission('host:write')
  @ApiOperation({ summary: 'Load images from an archive', description: 'Of Docker, or an OCI image layout; plain, gzip or zstd.' })
  @TakesTar()
  @ApiConsumes('application/x-tar')
  @ApiResponse({ status: 200, description: 'All of it is there.', standardSchema: loadedImagesSchema })
  @Keyed(415)
  load(@TenantCaller() caller: TenantCaller, @Req() request: FastifyRequest, @Res({ passthrough: true }) reply: FastifyReply): Promise<LoadedImages> {
    return this.uploads.load(caller, tarBody(request), hangUpSignal(reply));
  }

  @Post('import')
  @HttpCode(201)
  @RequirePermission('host:write')
  @ApiOperation({ summary: 'Make an image of a root file system', description: 'A tar, plain, gzip or zstd.' })
  @TakesTar()
  @ApiConsumes('application/x-tar')
  @ApiResponse({ status: 201, description: 'The new image.', standardSchema: importedImageSchema })
  @Keyed(415)
  import(@TenantCaller() caller: TenantCaller, @Query({ schema: importImageQuerySchema }) query: ImportImageQuery, @Req() request: FastifyRequest, @Res({ passthrough: true }) reply: FastifyReply): Promise<ImportedImage> {
    return this.uploads.import(caller, tarBody(request), query, hangUpSignal(reply));
  }
}
