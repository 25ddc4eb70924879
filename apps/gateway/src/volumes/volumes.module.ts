import { Module } from '@nestjs/common';
import { NodesModule } from '../nodes/nodes.module.js';
import { DiskUsageController } from './disk-usage.controller.js';
import { VolumesController } from './volumes.controller.js';
import { VolumesService } from './volumes.service.js';

@Module({
  imports: [NodesModule],
  controllers: [DiskUsageController, VolumesController],
  providers: [VolumesService],
})
export class VolumesModule {}
