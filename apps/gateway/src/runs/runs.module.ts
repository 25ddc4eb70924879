import { Module } from '@nestjs/common';
import { ControlModule } from '../control/control.module.js';
import { NodesModule } from '../nodes/nodes.module.js';
import { RunAwaiter } from './run-awaiter.service.js';
import { RunInteraction, RunLocator } from './run-interaction.service.js';
import { RunsController } from './runs.controller.js';
import { RunsService } from './runs.service.js';
import { RuntimesController } from './runtimes.controller.js';

@Module({
  imports: [ControlModule, NodesModule],
  controllers: [RunsController, RuntimesController],
  providers: [RunAwaiter, RunInteraction, RunLocator, RunsService],
  exports: [RunInteraction, RunsService],
})
export class RunsModule {}
