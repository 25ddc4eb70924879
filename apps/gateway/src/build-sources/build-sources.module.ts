import { Module } from '@nestjs/common';
import { AuthModule } from '../auth/auth.module.js';
import { BuildsModule } from '../builds/builds.module.js';
import { BuildSourcesController } from './build-sources.controller.js';
import { BuildSourcesService } from './build-sources.service.js';
import { SourceBuildsController } from './source-builds.controller.js';
import { SourceBuilds } from './source-builds.service.js';
import { SourceVault } from './source-vault.js';
import { WebhookIntake } from './webhook-intake.service.js';
import { WebhooksController } from './webhooks.controller.js';

@Module({
  imports: [AuthModule, BuildsModule],
  controllers: [BuildSourcesController, SourceBuildsController, WebhooksController],
  providers: [BuildSourcesService, SourceBuilds, SourceVault, WebhookIntake],
})
export class BuildSourcesModule {}
