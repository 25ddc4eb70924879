import { Controller, Get } from '@nestjs/common';
import { z } from 'zod';
import { runtimeViewSchema, type RuntimeView } from '#contracts';
import { RequirePermission } from '../auth/permission.decorator.js';
import { ApiOperation, ApiResponse, ApiTags } from '../docs/annotations.js';
import { Keyed } from '../docs/api-errors.decorator.js';
import { RuntimeCatalogue } from '../nodes/runtime-catalogue.service.js';

@ApiTags('runs')
@Controller('v1/runtimes')
export class RuntimesController {
  constructor(private readonly catalogue: RuntimeCatalogue) {}

  @Get()
  @RequirePermission('any')
  @ApiOperation({ summary: 'The languages that runs can use' })
  @ApiResponse({ status: 200, description: 'What the live nodes offer.', standardSchema: z.object({ items: z.array(runtimeViewSchema) }) })
  @Keyed()
  async list(): Promise<{ items: RuntimeView[] }> {
    return { items: await this.catalogue.list() };
  }
}
