import { Module, type DynamicModule } from '@nestjs/common';
import { AuthModule } from '../../auth/auth.module.js';
import { BuildsModule } from '../../builds/builds.module.js';
import { NodesModule } from '../../nodes/nodes.module.js';
import type { TenantHosts } from '../../nodes/tenant-host.js';
import { OperationsModule } from '../../operations/operations.module.js';
import { OperationsService } from '../../operations/operations.service.js';
import { TENANT_HOSTS } from '../../platform/platform.js';
import { UpgradesModule } from '../../streams/upgrades.module.js';
import { DockerBuildsController } from './builds.controller.js';
import { DockerContainerArchiveController } from './container-archive.controller.js';
import { DockerContainerStreamsController } from './container-streams.controller.js';
import { DockerContainersController } from './containers.controller.js';
import { DOCKER_BACKENDS, type DockerBackends } from './docker-backends.js';
import { DockerHijacks } from './hijacks.service.js';
import { HijackedStreams } from './hijacked-streams.service.js';
import { DockerImageTransfersController } from './image-transfers.controller.js';
import { DockerDistributionController, DockerImagesController } from './images.controller.js';
import { DockerNetworksController } from './networks.controller.js';
import { DockerProcessesController } from './processes.controller.js';
import { DockerSystemController } from './system.controller.js';
import { DockerUnavailableController } from './unavailable.controller.js';
import { DockerVolumesController } from './volumes.controller.js';

const CONTROLLERS = [
  DockerSystemController,
  DockerImagesController,
  DockerImageTransfersController,
  DockerDistributionController,
  DockerVolumesController,
  DockerNetworksController,
  DockerContainersController,
  DockerContainerStreamsController,
  DockerProcessesController,
  DockerContainerArchiveController,
  DockerBuildsController,
  DockerUnavailableController,
];

/** The Docker Engine API (docs/docker-api.md): thin translators over the tenants' virtual hosts. */
@Module({})
export class DockerModule {
  static with(backends?: DockerBackends): DynamicModule {
    const provider =
      backends === undefined
        ? { provide: DOCKER_BACKENDS, inject: [TENANT_HOSTS, OperationsService], useFactory: (hosts: TenantHosts, operations: OperationsService): DockerBackends => ({ hosts, operations }) }
        : { provide: DOCKER_BACKENDS, useValue: backends };
    return { module: DockerModule, imports: [AuthModule, BuildsModule, NodesModule, OperationsModule, UpgradesModule], controllers: CONTROLLERS, providers: [provider, DockerHijacks, HijackedStreams] };
  }
}
