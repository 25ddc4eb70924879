import { Module } from '@nestjs/common';
import { NodesModule } from '../nodes/nodes.module.js';
import { UpgradesModule } from '../streams/upgrades.module.js';
import { FileWatchGateway } from './file-watch.gateway.js';
import { SandboxContentsController } from './sandbox-contents.controller.js';
import { SandboxFilesController } from './sandbox-files.controller.js';
import { SandboxFilesService } from './sandbox-files.service.js';

@Module({
  imports: [NodesModule, UpgradesModule],
  controllers: [SandboxFilesController, SandboxContentsController],
  providers: [SandboxFilesService, FileWatchGateway],
})
export class SandboxFilesModule {}
