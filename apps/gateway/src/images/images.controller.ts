import { Body, Controller, Delete, Get, HttpCode, Param, Post, Query } from '@nestjs/common';
import { z } from 'zod';
import {
  commitContainerSchema,
  imageDetailSchema,
  imageHistorySchema,
  imageRemovalsSchema,
  imageSummarySchema,
  operationViewSchema,
  type CommitContainerBody,
  type ImageDetail,
  type ImageHistory,
  type ImageRemovals,
  type ImageSummary,
  type OperationView,
} from '#contracts';
import { TenantCaller } from '../auth/caller.decorator.js';
import { RequirePermission } from '../auth/permission.decorator.js';
import { ApiOperation, ApiParam, ApiResponse, ApiTags } from '../docs/annotations.js';
import { Keyed } from '../docs/api-errors.decorator.js';
import { OperationsService } from '../operations/operations.service.js';
import {
  importedImageSchema,
  listImagesQuerySchema,
  prunedImagesSchema,
  pruneImagesSchema,
  pullImageSchema,
  pushImageSchema,
  removeImageQuerySchema,
  tagImageSchema,
  type ImportedImage,
  type ListImagesQuery,
  type PruneImages,
  type PullImage,
  type PushImage,
  type RemoveImageQuery,
  type TagImage,
} from './image-requests.schema.js';
import { ImagesService } from './images.service.js';

const REF = { name: 'ref', description: 'A name, an ID or the unique beginning of an ID; percent-encoded.', example: 'busybox%3Alatest' };

@ApiTags('images')
@Controller('v1/images')
export class ImagesController {
  constructor(
    private readonly images: ImagesService,
    private readonly operations: OperationsService,
  ) {}

  @Get()
  @RequirePermission('host:read')
  @ApiOperation({ summary: 'List images' })
  @ApiResponse({ status: 200, description: 'All of them, newest first.', standardSchema: z.object({ items: z.array(imageSummarySchema) }) })
  @Keyed()
  list(@TenantCaller() caller: TenantCaller, @Query({ schema: listImagesQuerySchema }) query: ListImagesQuery): Promise<{ items: ImageSummary[] }> {
    return this.images.list(caller, query);
  }

  /** 202: recorded. Follow its progress by `/v1/operations/{id}/progress`. */
  @Post('pull')
  @HttpCode(202)
  @RequirePermission('host:write')
  @ApiOperation({ summary: 'Fetch an image from a registry' })
  @ApiResponse({ status: 202, description: 'An operation; follow `/v1/operations/{id}/progress`.', standardSchema: operationViewSchema })
  @Keyed(413, 415)
  pull(@TenantCaller() caller: TenantCaller, @Body({ schema: pullImageSchema }) { reference, platform, auth }: PullImage): Promise<OperationView> {
    return this.operations.pull(caller, { reference, platform, auth });
  }

  /** 202: recorded. Follow its progress by `/v1/operations/{id}/progress`. */
  @Post('push')
  @HttpCode(202)
  @RequirePermission('host:write')
  @ApiOperation({ summary: 'Send an image to the registry that its name says' })
  @ApiResponse({ status: 202, description: 'An operation; follow `/v1/operations/{id}/progress`.', standardSchema: operationViewSchema })
  @Keyed(404, 413, 415)
  push(@TenantCaller() caller: TenantCaller, @Body({ schema: pushImageSchema }) { reference, auth }: PushImage): Promise<OperationView> {
    return this.operations.push(caller, { reference, auth });
  }

  @Post('commit')
  @HttpCode(201)
  @RequirePermission('host:write')
  @ApiOperation({ summary: "Make an image of a container's changes" })
  @ApiResponse({ status: 201, description: 'The new image.', standardSchema: importedImageSchema })
  @Keyed(404, 409, 413, 415)
  commit(@TenantCaller() caller: TenantCaller, @Body({ schema: commitContainerSchema }) request: CommitContainerBody): Promise<ImportedImage> {
    return this.images.commit(caller, request);
  }

  @Post('prune')
  @HttpCode(200)
  @RequirePermission('host:write')
  @ApiOperation({ summary: 'Remove images that nothing uses' })
  @ApiResponse({ status: 200, description: 'What is gone.', standardSchema: prunedImagesSchema })
  @Keyed(413, 415)
  prune(@TenantCaller() caller: TenantCaller, @Body({ schema: pruneImagesSchema }) filter: PruneImages): Promise<{ removals: ImageRemovals; reclaimedBytes: number }> {
    return this.images.prune(caller, filter);
  }

  @Get(':ref')
  @RequirePermission('host:read')
  @ApiOperation({ summary: 'An image and its config' })
  @ApiParam(REF)
  @ApiResponse({ status: 200, description: 'The image.', standardSchema: imageDetailSchema })
  @Keyed(404)
  get(@TenantCaller() caller: TenantCaller, @Param('ref') ref: string): Promise<ImageDetail> {
    return this.images.get(caller, ref);
  }

  @Get(':ref/history')
  @RequirePermission('host:read')
  @ApiOperation({ summary: 'How an image was made, newest step first' })
  @ApiParam(REF)
  @ApiResponse({ status: 200, description: 'Its steps.', standardSchema: z.object({ items: imageHistorySchema }) })
  @Keyed(404)
  history(@TenantCaller() caller: TenantCaller, @Param('ref') ref: string): Promise<{ items: ImageHistory }> {
    return this.images.history(caller, ref);
  }

  /** A name that led to another image leads to this one from now on. */
  @Post(':ref/tags')
  @HttpCode(200)
  @RequirePermission('host:write')
  @ApiOperation({ summary: 'Give an image another name' })
  @ApiParam(REF)
  @ApiResponse({ status: 200, description: 'The image.', standardSchema: imageDetailSchema })
  @Keyed(404, 413, 415)
  tag(@TenantCaller() caller: TenantCaller, @Param('ref') ref: string, @Body({ schema: tagImageSchema }) { name }: TagImage): Promise<ImageDetail> {
    return this.images.tag(caller, ref, name);
  }

  @Delete(':ref')
  @RequirePermission('host:write')
  @ApiOperation({ summary: 'Take a name away; with the last one, the image' })
  @ApiParam(REF)
  @ApiResponse({ status: 200, description: 'What is gone.', standardSchema: z.object({ items: imageRemovalsSchema }) })
  @Keyed(404, 409)
  remove(@TenantCaller() caller: TenantCaller, @Param('ref') ref: string, @Query({ schema: removeImageQuerySchema }) query: RemoveImageQuery): Promise<{ items: ImageRemovals }> {
    return this.images.remove(caller, ref, query);
  }
}
