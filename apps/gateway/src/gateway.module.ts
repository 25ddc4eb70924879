import { Module, type DynamicModule } from '@nestjs/common';
import { AuthModule } from './auth/auth.module.js';
import { BuildSourcesModule } from './build-sources/build-sources.module.js';
import { BuildsModule } from './builds/builds.module.js';
import { ControlModule } from './control/control.module.js';
import { RootController } from './docs/root.controller.js';
import { HealthModule } from './health/health.module.js';
import { HostEventsModule } from './host-events/host-events.module.js';
import { ImagesModule } from './images/images.module.js';
import { NetworksModule } from './networks/networks.module.js';
import { OperationsModule } from './operations/operations.module.js';
import { PlatformModule, type Surroundings } from './platform/platform.module.js';
import type { DockerBackends } from './protocols/docker/docker-backends.js';
import { DockerModule } from './protocols/docker/docker.module.js';
import { ConnectionDrain } from './protocols/rest/connection-drain.js';
import { RouteTable } from './protocols/rest/route-table.js';
import { ReconcilerModule } from './reconciler/reconciler.module.js';
import { RunsModule } from './runs/runs.module.js';
import { SandboxExecModule } from './sandbox-exec/sandbox-exec.module.js';
import { SandboxFilesModule } from './sandbox-files/sandbox-files.module.js';
import { SandboxesModule } from './sandboxes/sandboxes.module.js';
import { StreamsModule } from './streams/streams.module.js';
import { TenantsModule } from './tenants/tenants.module.js';
import { TlsModule } from './tls/tls.module.js';
import { VolumesModule } from './volumes/volumes.module.js';

/** One feature each. */
const FEATURES = [
  AuthModule,
  BuildSourcesModule,
  BuildsModule,
  ControlModule,
  HealthModule,
  HostEventsModule,
  ImagesModule,
  NetworksModule,
  OperationsModule,
  ReconcilerModule,
  RunsModule,
  SandboxExecModule,
  SandboxFilesModule,
  SandboxesModule,
  StreamsModule,
  TenantsModule,
  TlsModule,
  VolumesModule,
];

@Module({})
export class GatewayModule {
  static with(surroundings: Surroundings & { readonly docker?: DockerBackends }, routes: RouteTable, drain: ConnectionDrain): DynamicModule {
    return {
      module: GatewayModule,
      imports: [PlatformModule.with({ ...surroundings, ...(surroundings.docker === undefined ? {} : { hosts: surroundings.docker.hosts }) }), DockerModule.with(surroundings.docker), ...FEATURES],
      controllers: [RootController],
      providers: [{ provide: RouteTable, useValue: routes }, { provide: ConnectionDrain, useValue: drain }],
      exports: [RouteTable],
    };
  }
}
