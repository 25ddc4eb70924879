import { Inject, Injectable } from '@nestjs/common';
import { buildOptionsSchema, fullRefOf, namesFor, onlyRefOf, type BuildNow, type PushedRef } from '#contracts';
import { CodedError } from '#kernel';
import type { Build, BuildSource, Repositories } from '#persistence';
import type { CallingTenant, TenantCaller } from '../auth/caller.js';
import { BuildSubmission } from '../builds/build-submission.service.js';
import { REPOSITORIES } from '../platform/platform.js';
import { SourceVault } from './source-vault.js';

export interface SourceBuild {
  readonly ref: PushedRef;
  /** undefined: what the ref is when the build begins. */
  readonly commit: string | undefined;
  readonly requestId: string;
  readonly idempotencyKey: string | undefined;
}

/** Builds of a registered source: what the source says, of the commit that is asked for. */
@Injectable()
export class SourceBuilds {
  constructor(
    @Inject(REPOSITORIES) private readonly repositories: Repositories,
    private readonly submission: BuildSubmission,
    private readonly vault: SourceVault,
  ) {}

  /** @throws CodedError `invalid_argument` (no name is left without a commit), and as `BuildSubmission.create` */
  async start(tenant: CallingTenant, source: BuildSource, { ref, commit, requestId, idempotencyKey }: SourceBuild): Promise<Build> {
    const { git, dockerfile, target, labels, noCache, pull, platform, network, tags } = source.spec;
    const names = namesFor(tags, ref, commit);
    if (names.length === 0) throw new CodedError('invalid_argument', 'commit: all names of the source need one', { issues: [{ path: 'commit', message: 'all names of the source need one' }] });
    const options = buildOptionsSchema.parse({ dockerfile, target, labels, noCache, pull, platform, network, tags: names, ...this.vault.valuesOf(source) });
    const from = { kind: 'git' as const, ...git, ref: commit ?? fullRefOf(ref) };
    return this.submission.create({ tenant }, { options, source: from, requestId, idempotencyKey, signal: new AbortController().signal });
  }

  /** Without a push. @throws CodedError `invalid_argument`, and as `start` */
  async startNow({ tenant }: TenantCaller, source: BuildSource, { branch, tag, commit }: BuildNow, requestId: string): Promise<Build> {
    const ref = branch === undefined ? (tag === undefined ? onlyRefOf(source.spec.on) : { type: 'tag' as const, name: tag }) : { type: 'branch' as const, name: branch };
    if (ref === undefined) throw new CodedError('invalid_argument', 'branch: the rule of the source names many: say which', { issues: [{ path: 'branch', message: 'the rule of the source names many: say which' }] });
    const build = await this.start(tenant, source, { ref, commit, requestId, idempotencyKey: undefined });
    await this.repositories.buildSources.noteBuild(tenant.id, source.id, build.id);
    return build;
  }
}
