import { Controller, Get, HttpCode, Param, Post } from '@nestjs/common';
import { runtimeInstallViewSchema, runtimeListSchema, type RuntimeInstallView, type RuntimeList } from '#contracts';
import { RequirePermission } from '../auth/permission.decorator.js';
import { ApiOperation, ApiResponse, ApiTags } from '../docs/annotations.js';
import { Keyed } from '../docs/api-errors.decorator.js';
import { RuntimeCatalogue } from '../nodes/runtime-catalogue.service.js';
import { RuntimeInstalls } from '../nodes/runtime-installs.service.js';

@ApiTags('runs')
@Controller('v1/runtimes')
export class RuntimesController {
  constructor(
    private readonly catalogue: RuntimeCatalogue,
    private readonly installs: RuntimeInstalls,
  ) {}

  @Get()
  @RequirePermission('any')
  @ApiOperation({ summary: 'The languages that runs can use, and those that could be installed' })
  @ApiResponse({ status: 200, description: 'What all live nodes offer.', standardSchema: runtimeListSchema })
  @Keyed()
  async list(): Promise<RuntimeList> {
    const [items, available] = await Promise.all([this.catalogue.list(), this.catalogue.available()]);
    return { items, available };
  }

  @Post(':name/install')
  @HttpCode(202)
  @RequirePermission('admin')
  @ApiOperation({ summary: 'Install a language on all nodes', description: 'Begun, not yet done: follow it with GET. Repeating it does no harm, and tries again where it failed.' })
  @ApiResponse({ status: 202, description: 'How each node stands to it.', standardSchema: runtimeInstallViewSchema })
  @Keyed(404, 503)
  install(@Param('name') name: string): Promise<RuntimeInstallView> {
    return this.installs.begin(name);
  }

  @Get(':name/install')
  @RequirePermission('admin')
  @ApiOperation({ summary: 'How the installation of a language goes' })
  @ApiResponse({ status: 200, description: 'How each node stands to it.', standardSchema: runtimeInstallViewSchema })
  @Keyed(404, 503)
  installation(@Param('name') name: string): Promise<RuntimeInstallView> {
    return this.installs.get(name);
  }
}
