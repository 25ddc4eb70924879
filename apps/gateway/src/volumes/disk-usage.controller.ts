import { Controller, Get } from '@nestjs/common';
import { diskUsageSchema, type DiskUsageView } from '#contracts';
import { TenantCaller } from '../auth/caller.decorator.js';
import { RequirePermission } from '../auth/permission.decorator.js';
import { ApiOperation, ApiResponse, ApiTags } from '../docs/annotations.js';
import { Keyed } from '../docs/api-errors.decorator.js';
import { VolumesService } from './volumes.service.js';

@ApiTags('volumes')
@Controller('v1/disk-usage')
export class DiskUsageController {
  constructor(private readonly volumes: VolumesService) {}

  @Get()
  @RequirePermission('host:read')
  @ApiOperation({ summary: 'What images, containers and volumes of the tenant take' })
  @ApiResponse({ status: 200, description: 'Bytes.', standardSchema: diskUsageSchema })
  @Keyed()
  get(@TenantCaller() caller: TenantCaller): Promise<DiskUsageView> {
    return this.volumes.diskUsage(caller);
  }
}
