import { Inject, Injectable } from '@nestjs/common';
import { parseBuildCheckpoint, type BuildStep, type BuildSummary, type BuildView, type ListBuildsQuery, type Page } from '#contracts';
import { CodedError, parseId, type Clock } from '#kernel';
import type { Build, Repositories } from '#persistence';
import type { BuildLogStream } from '#queue';
import type { TenantCaller } from '../auth/caller.js';
import { BUILD_LOG_STREAM, CLOCK, REPOSITORIES } from '../platform/platform.js';
import { BuildJobs } from './build-jobs.service.js';
import { BuildSubmission, type SubmittedBuild } from './build-submission.service.js';
import { toBuildSummary, toBuildView } from './build-view.js';

/** Images from Dockerfiles: recorded, queued at the tenant's home node, to be followed and cancelled. */
@Injectable()
export class BuildsService {
  constructor(
    @Inject(REPOSITORIES) private readonly repositories: Repositories,
    @Inject(BUILD_LOG_STREAM) private readonly logs: BuildLogStream,
    private readonly submission: BuildSubmission,
    private readonly jobs: BuildJobs,
    @Inject(CLOCK) private readonly clock: Clock,
  ) {}

  /** @throws as `BuildSubmission.create` */
  async create(caller: TenantCaller, submitted: SubmittedBuild): Promise<BuildView> {
    return this.view(await this.submission.create(caller, submitted));
  }

  /** @throws CodedError `not_found`, the same for another tenant's build, one that never was, and what is no id */
  async find(caller: TenantCaller, id: string): Promise<Build> {
    const build = await this.repositories.builds.find(caller.tenant.id, parseId('build', id));
    if (build === undefined) throw new CodedError('not_found', 'no such build', { kind: 'build' });
    return build;
  }

  /** @throws as `find` */
  async get(caller: TenantCaller, id: string): Promise<BuildView> {
    return this.view(await this.find(caller, id));
  }

  /** Newest first. @throws CodedError `invalid_argument` */
  async list(caller: TenantCaller, query: ListBuildsQuery): Promise<Page<BuildSummary>> {
    const { items, nextCursor } = await this.repositories.builds.list(caller.tenant.id, query);
    return { items: items.map(toBuildSummary), nextCursor };
  }

  /** Idempotent. The wish is in the row before anything is done, so that it outlives a crash. @throws as `find` */
  async cancel(caller: TenantCaller, id: string): Promise<{ readonly view: BuildView; readonly final: boolean }> {
    const build = await this.repositories.builds.requestCancel(caller.tenant.id, parseId('build', id), new Date(this.clock.now()));
    if (build.finishedAt === null) await this.jobs.cancel(build);
    const after = await this.find(caller, id);
    return { view: await this.view(after), final: after.finishedAt !== null };
  }

  private async view(build: Build): Promise<BuildView> {
    return toBuildView(build, build.outcome === null ? await this.stepsOf(build) : []);
  }

  /** Of one that goes on, as its node wrote them beside the log. */
  private async stepsOf({ id }: Build): Promise<BuildStep[]> {
    const checkpoint = (await this.logs.last(id))?.checkpoint;
    return checkpoint === undefined ? [] : (parseBuildCheckpoint(checkpoint)?.steps ?? []);
  }
}
