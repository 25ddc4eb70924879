import { Module } from '@nestjs/common';
import { NodesModule } from '../nodes/nodes.module.js';
import { SandboxLifeController } from './sandbox-life.controller.js';
import { SandboxLife } from './sandbox-life.service.js';
import { SandboxStatsController } from './sandbox-stats.controller.js';
import { SandboxStatsService } from './sandbox-stats.service.js';
import { SandboxesController } from './sandboxes.controller.js';
import { SandboxesService } from './sandboxes.service.js';

@Module({
  imports: [NodesModule],
  controllers: [SandboxesController, SandboxLifeController, SandboxStatsController],
  providers: [SandboxesService, SandboxLife, SandboxStatsService],
})
export class SandboxesModule {}
