import { Inject, Injectable } from '@nestjs/common';
import { parseBuildCheckpoint, type BuildOutcome } from '#contracts';
import type { Clock, Logger } from '#kernel';
import type { Build, Repositories } from '#persistence';
import type { BuildLogStream } from '#queue';
import { BuildEnds } from '../builds/build-ends.service.js';
import { BuildJobs } from '../builds/build-jobs.service.js';
import { BUILD_LOG_STREAM, CLOCK, LOGGER, REPOSITORIES } from '../platform/platform.js';
import { TenantDirectory } from '../tenants/tenant-directory.service.js';
import { GoneJobs } from './gone-jobs.js';

const MAX_REQUEUED = 3;

/** What follows for a build whose job is gone. */
@Injectable()
export class GoneBuilds {
  constructor(
    @Inject(REPOSITORIES) private readonly repositories: Repositories,
    @Inject(BUILD_LOG_STREAM) private readonly logs: BuildLogStream,
    private readonly jobs: BuildJobs,
    private readonly ends: BuildEnds,
    private readonly directory: TenantDirectory,
  ) {}

  async settle(build: Build): Promise<void> {
    const outcome = await this.outcomeOf(build);
    if (outcome !== undefined) await this.ends.adopt(build, outcome);
    else if (build.cancelRequestedAt !== null) await this.ends.cancelled(build);
    else if (build.attached) await this.ends.lose(build, 'the node died under the build, or the client could not reach it');
    else if (build.requeued >= MAX_REQUEUED) await this.ends.lose(build, 'the build was lost again and again');
    else await this.requeue(build);
  }

  /** What its node had come to, when the event that says so was lost. */
  private async outcomeOf({ id }: Build): Promise<BuildOutcome | undefined> {
    const { ended, checkpoint } = (await this.logs.last(id)) ?? {};
    return ended === true && checkpoint !== undefined ? parseBuildCheckpoint(checkpoint)?.outcome : undefined;
  }

  private async requeue(build: Build): Promise<void> {
    if (!(await this.repositories.builds.markRequeued(build.tenantId, build.id))) return;
    await this.jobs.enqueue(build, await this.directory.limitsOf(build.tenantId));
  }
}

/** Images from Dockerfiles. */
@Injectable()
export class BuildReconciler {
  private readonly gone: GoneJobs<Build>;

  constructor(@Inject(REPOSITORIES) { builds }: Repositories, jobs: BuildJobs, ends: GoneBuilds, @Inject(CLOCK) clock: Clock, @Inject(LOGGER) logger: Logger) {
    this.gone = new GoneJobs({ unfinished: () => builds.listUnfinished(), has: (row) => jobs.has(row), cancel: (row) => jobs.cancel(row), settle: (row) => ends.settle(row) }, clock, logger);
  }

  round(): Promise<void> {
    return this.gone.round();
  }
}
