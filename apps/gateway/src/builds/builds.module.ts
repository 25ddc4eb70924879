import { Module } from '@nestjs/common';
import { ControlModule } from '../control/control.module.js';
import { NodesModule } from '../nodes/nodes.module.js';
import { LogsModule } from '../streams/logs.module.js';
import { TenantDirectoryModule } from '../tenants/tenant-directory.module.js';
import { AttachedBuilds } from './attached-builds.service.js';
import { BuildEnds } from './build-ends.service.js';
import { BuildJobs } from './build-jobs.service.js';
import { BuildLogReader } from './build-log-reader.service.js';
import { BuildLogsController } from './build-logs.controller.js';
import { BuildLogsGateway } from './build-logs.gateway.js';
import { BuildSubmission } from './build-submission.service.js';
import { BuildsController } from './builds.controller.js';
import { BuildsService } from './builds.service.js';

@Module({
  imports: [ControlModule, LogsModule, NodesModule, TenantDirectoryModule],
  controllers: [BuildsController, BuildLogsController],
  providers: [AttachedBuilds, BuildEnds, BuildJobs, BuildLogReader, BuildLogsGateway, BuildSubmission, BuildsService],
  exports: [AttachedBuilds, BuildEnds, BuildJobs, BuildSubmission, BuildsService],
})
export class BuildsModule {}
