import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { asError, CodedError, type Digest, familiarName, type IgnoreFile, isCodedError, newId, parseIgnoreFile, type TenantId } from '#kernel';
import { KeyedQueue, settleAll } from '../../linux/index.js';
import type { CachePruning, CacheRecord } from '../cache-records.js';
import type { Builder, BuildEvent, BuildRequest } from '../builder.js';
import { withoutIgnored } from '../context/ignored-files.js';
import { SourcePaths } from '../context/source-paths.js';
import { SpooledArchive } from '../context/spooled-archive.js';
import { parseDockerfile } from '../dockerfile/dockerfile.js';
import { resolvedPath } from '../stages/config-changes.js';
import { BuildCache } from './build-cache.js';
import { planBuild, type BuildPlan } from './build-plan.js';
import { BuildSession, SPOOL_LIMITS, type StageImage } from './build-session.js';
import type { DockerfileBuilderOptions } from './builder-services.js';
import { CacheSources } from './cache-sources.js';
import { prunedCache, type PrunedCache } from './cache-pruning.js';
import { cacheRecords } from './cache-usage.js';
import { remoteContext } from './remote-context.js';
import { opened } from './foreign-compression.js';
import { StageBuilder } from './stage-builder.js';
import { inOrderOfNeeds } from './stage-order.js';

/** Stages of one build at the same time. */
const STAGES_AT_ONCE = 2;
const MAX_FILE_BYTES = 1024 * 1024;

type Report = (event: BuildEvent) => Promise<void>;

/** Builds on the tenants' own images and containers, their contexts and what is known of their steps below one folder. */
export class DockerfileBuilder implements Builder {
  private readonly cache: BuildCache;
  private readonly cacheTurns = new KeyedQueue();

  constructor(private readonly services: DockerfileBuilderOptions) {
    this.cache = new BuildCache(join(services.root, 'cache'));
  }

  async recover(): Promise<void> {
    await rm(this.workFolder, { recursive: true, force: true });
    await mkdir(this.workFolder, { recursive: true, mode: 0o700 });
  }

  async build(tenantId: TenantId, request: BuildRequest, context: AsyncIterable<Uint8Array>, report: Report, signal: AbortSignal): Promise<{ readonly imageId: Digest }> {
    const folder = join(this.workFolder, newId('sandbox'));
    await mkdir(folder, { mode: 0o700 });
    const began = this.services.clock.monotonicMs();
    try {
      const bytes = request.remote === undefined ? context : await remoteContext(this.services, request.remote, request, signal);
      const archive = await SpooledArchive.of(join(folder, 'context'), opened(bytes), SPOOL_LIMITS);
      try {
        const imageId = await this.within({ tenantId, request, folder, report, signal }, archive);
        this.services.logger.info({ tenantId, imageId, ms: Math.round(this.services.clock.monotonicMs() - began) }, 'builder: built');
        return { imageId };
      } finally {
        await archive.remove();
      }
    } catch (error) {
      this.services.logger.info({ tenantId, reason: isCodedError(error) ? error.code : asError(error).message }, 'builder: a build failed');
      throw signal.aborted ? new CodedError('cancelled', 'the build was cancelled', {}, { cause: error }) : error;
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  }

  cacheRecords(tenantId: TenantId): Promise<CacheRecord[]> {
    return cacheRecords(this.services, this.cache, tenantId);
  }

  prune(tenantId: TenantId, pruning: CachePruning = {}): Promise<PrunedCache> {
    return prunedCache(this.services, this.cache, tenantId, pruning);
  }

  async drop(tenantId: TenantId): Promise<void> {
    await this.cache.drop(tenantId);
  }

  private async within(job: { tenantId: TenantId; request: BuildRequest; folder: string; report: Report; signal: AbortSignal }, archive: SpooledArchive): Promise<Digest> {
    const { tenantId, request } = job;
    const text = await dockerfileText(archive, request);
    const ignore = await ignoreFileOf(archive, request);
    const plan = planBuild(parseDockerfile(text), request, ignore);
    const files = ignore === undefined ? archive : await withoutIgnored(archive, ignore);
    // One stage's failure is the end of the others.
    const failing = new AbortController();
    const session = new BuildSession({ ...job, services: this.services, cache: this.cache, signal: AbortSignal.any([job.signal, failing.signal]) }, { archive: files, paths: new SourcePaths(files) });
    try {
      await session.warn(plan.lint, plan.policy);
      const staged = this.stages(plan, session, failing);
      await Promise.allSettled([staged]);
      await settleAll([staged, session.tidied()]);
      const imageId = resultOf(session.stages.get(plan.graph.target.index));
      for (const message of plan.warnings) await session.report({ kind: 'warning', message });
      await session.report({ kind: 'built', imageId });
      for (const tag of request.tags) {
        await this.services.images.tag(tenantId, imageId, tag);
        await session.report({ kind: 'tagged', name: familiarName(tag) });
      }
      return imageId;
    } finally {
      session.releaseAll();
    }
  }

  private async stages({ metaArgs, stages, totalSteps, inherited, escape, policy, graph }: BuildPlan, session: BuildSession, failing: AbortController): Promise<void> {
    for (const [index, { text }] of metaArgs.entries()) await session.report({ kind: 'step', step: index + 1, total: totalSteps, stage: -1, stageName: null, text });
    const sources = new CacheSources(session);
    await inOrderOfNeeds(graph.stages, STAGES_AT_ONCE, async (planned) => {
      const stage = stages.find((each) => each.planned === planned);
      if (stage === undefined) throw new CodedError('internal', 'a stage has no number');
      const earlier = graph.stages.filter(({ index }) => index < planned.index);
      const builder = new StageBuilder({ session, sources, ...stage, earlier, totalSteps, inherited, escape, policy, cacheTurns: this.cacheTurns });
      try {
        await builder.build();
      } catch (error) {
        // Cancelled meanwhile: what it failed by still counts.
        await builder.reportFailure().catch(() => undefined);
        failing.abort();
        throw error;
      }
    });
  }

  private get workFolder(): string {
    return join(this.services.root, 'work');
  }
}

function resultOf(image: StageImage | undefined): Digest {
  if (image?.id === undefined) throw new CodedError('invalid_argument', 'No image was generated. Is your Dockerfile empty?');
  return image.id;
}

/** A path of the context, whose root is the root of all paths in it. */
async function dockerfileText(archive: SpooledArchive, { dockerfile = 'Dockerfile' }: BuildRequest): Promise<string> {
  const path = resolvedPath('/', dockerfile).slice(1);
  try {
    return (await archive.read(path, MAX_FILE_BYTES)).toString('utf8');
  } catch (error) {
    if (!isCodedError(error, 'not_found')) throw error;
    throw new CodedError('invalid_argument', `Cannot locate specified Dockerfile: ${dockerfile.slice(0, 200)}`, {}, { cause: error });
  }
}

/** The Dockerfile's own comes before that of the context. */
async function ignoreFileOf(archive: SpooledArchive, { dockerfile = 'Dockerfile' }: BuildRequest): Promise<IgnoreFile | undefined> {
  const path = [`${resolvedPath('/', dockerfile).slice(1)}.dockerignore`, '.dockerignore'].find((name) => archive.entries.get(name)?.type === 'file');
  return path === undefined ? undefined : parseIgnoreFile((await archive.read(path, MAX_FILE_BYTES)).toString('utf8'));
}
