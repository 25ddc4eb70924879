import { Inject, Injectable } from '@nestjs/common';
import type { BuildError, BuildOutcome } from '#contracts';
import { asError, type Clock, type Logger } from '#kernel';
import type { Build } from '#persistence';
import { BuildFinisher } from '../control/build-finisher.service.js';
import type { TenantHosts } from '../nodes/tenant-host.js';
import { CLOCK, LOGGER, TENANT_HOSTS } from '../platform/platform.js';
import { TenantDirectory } from '../tenants/tenant-directory.service.js';

const NOTHING = { imageId: null, digest: null, steps: [], warnings: [] } as const;

/** Ends builds on the control side's own decision: cancelled before they began, lost with their node, or over without a word. */
@Injectable()
export class BuildEnds {
  constructor(
    private readonly finisher: BuildFinisher,
    @Inject(TENANT_HOSTS) private readonly hosts: TenantHosts,
    private readonly directory: TenantDirectory,
    @Inject(CLOCK) private readonly clock: Clock,
    @Inject(LOGGER) private readonly logger: Logger,
  ) {}

  cancelled(build: Build): Promise<void> {
    return this.end(build, 'cancelled', { code: 'cancelled', message: 'the build was cancelled' });
  }

  fail(build: Build, message: string): Promise<void> {
    return this.end(build, 'failed', { code: 'unavailable', message });
  }

  lose(build: Build, message: string): Promise<void> {
    return this.end(build, 'lost', { code: 'unavailable', message });
  }

  /** Its node had come to an end, and the event that says so was lost. */
  async adopt(build: Build, outcome: BuildOutcome): Promise<void> {
    await this.finisher.finish(build.tenantId, build.id, new Date(this.clock.now()), outcome);
  }

  /** What its node keeps for it goes by itself in a day, should the node be away now. */
  async unspool({ id, tenantId }: Pick<Build, 'id' | 'tenantId'>): Promise<void> {
    try {
      await this.hosts.of({ id: tenantId, limits: await this.directory.limitsOf(tenantId) }).builds.unspool(id);
    } catch (error) {
      this.logger.info({ buildId: id, tenantId, error: asError(error).message }, 'what was spooled for a build could not be removed');
    }
  }

  private async end(build: Build, state: BuildOutcome['state'], error: BuildError): Promise<void> {
    await this.adopt(build, { ...NOTHING, steps: [], warnings: [], state, error });
    if (!build.attached) await this.unspool(build);
  }
}
