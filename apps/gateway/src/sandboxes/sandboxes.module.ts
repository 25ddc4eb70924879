import { Module } from '@nestjs/common';
import { NodesModule } from '../nodes/nodes.module.js';
import { SandboxLifeController } from './sandbox-life.controller.js';
import { SandboxLife } from './sandbox-life.service.js';
import { SandboxesController } from './sandboxes.controller.js';
import { SandboxesService } from './sandboxes.service.js';

@Module({
  imports: [NodesModule],
  controllers: [SandboxesController, SandboxLifeController],
  providers: [SandboxesService, SandboxLife],
})
export class SandboxesModule {}
