import { Controller, HttpCode, Inject, Post } from '@nestjs/common';
import { type Clock } from '#kernel';
import { AttachedBuilds } from '../../builds/attached-builds.service.js';
import { RequirePermission } from '../../auth/permission.decorator.js';
import { ApiExcludeController } from '../../docs/annotations.js';
import { CLOCK } from '../../platform/platform.js';
import { cachePruneOf } from './build-cache-views.js';
import { buildMessages, quietMessages } from './build-messages.js';
import { buildRequestOf, registriesOf } from './build-request.js';
import { DOCKER_BACKENDS, type DockerBackends } from './docker-backends.js';
import { Docker, DockerCall } from './docker-call.js';
import { sendMessages } from './json-lines.js';

/** Docker's classic builder. */
@ApiExcludeController()
@Controller('docker/build')
export class DockerBuildsController {
  constructor(
    @Inject(DOCKER_BACKENDS) private readonly backends: DockerBackends,
    private readonly attached: AttachedBuilds,
    @Inject(CLOCK) private readonly clock: Clock,
  ) {}

  @Post()
  @HttpCode(200)
  @RequirePermission('host:write')
  async build(@Docker() call: DockerCall): Promise<void> {
    const request = buildRequestOf(call.query);
    const registries = registriesOf(call.header('x-registry-config'));
    const events = this.attached.run(call.caller, call.stream(), { request, registries, requestId: call.requestId, signal: call.signal });
    await sendMessages(call, call.query.flag('q') ? quietMessages(events) : buildMessages(events));
  }

  @Post('prune')
  @HttpCode(200)
  @RequirePermission('host:write')
  async prune(@Docker() call: DockerCall): Promise<object> {
    const { removed, reclaimedBytes } = await this.backends.hosts.of(call.caller.tenant).builds.prune(cachePruneOf(call.query, this.clock.now()));
    return { CachesDeleted: removed.length === 0 ? null : removed, SpaceReclaimed: reclaimedBytes };
  }
}
