import { Module } from '@nestjs/common';
import { ControlModule } from '../control/control.module.js';
import { NodesModule } from '../nodes/nodes.module.js';
import { OperationJobs } from './operation-jobs.service.js';
import { OperationsController } from './operations.controller.js';
import { OperationsService } from './operations.service.js';

@Module({
  imports: [ControlModule, NodesModule],
  controllers: [OperationsController],
  providers: [OperationJobs, OperationsService],
  exports: [OperationJobs, OperationsService],
})
export class OperationsModule {}
