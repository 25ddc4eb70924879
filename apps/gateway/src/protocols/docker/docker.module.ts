import { Module } from '@nestjs/common';
import { AuthModule } from '../../auth/auth.module.js';
import { DockerContainerStreamsController } from './container-streams.controller.js';
import { DockerContainersController } from './containers.controller.js';
import { DockerImageTransfersController } from './image-transfers.controller.js';
import { DockerDistributionController, DockerImagesController } from './images.controller.js';
import { DockerSystemController } from './system.controller.js';
import { DockerUnavailableController } from './unavailable.controller.js';
import { DockerVolumesController } from './volumes.controller.js';

/** The Docker Engine API (docs/docker-api.md): thin translators over the tenants' virtual hosts. */
@Module({
  imports: [AuthModule],
  controllers: [
    DockerSystemController,
    DockerImagesController,
    DockerImageTransfersController,
    DockerDistributionController,
    DockerVolumesController,
    DockerContainersController,
    DockerContainerStreamsController,
    DockerUnavailableController,
  ],
})
export class DockerModule {}
