import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { CodedError, isCodedError, parseReference, withDefaultTag, type Digest, type ImageReference, type TenantId } from '#kernel';
import type { ImageRecord } from '../../images/index.js';
import type { TransferProgress } from '../../registry-client/index.js';
import type { TarEntryInput } from '../../tar/index.js';
import { writeTar } from '../../tar/index.js';
import type { BuildEvent, BuildRequest } from '../builder.js';
import { SourcePaths } from '../context/source-paths.js';
import { SpooledArchive } from '../context/spooled-archive.js';
import { refuseWarnings, type LintPolicy } from '../lint/check-directive.js';
import type { LintWarning } from '../lint/lint-warning.js';
import type { BuildConfig } from '../stages/steps.js';
import { cacheKey, type BuildCache } from './build-cache.js';
import type { DockerfileBuilderOptions } from './builder-services.js';
import { stepRows, type StepRow } from './step-record.js';

/** What a stage stands on, or has come to. */
export interface StageImage {
  /** undefined: nothing yet (`FROM scratch`). */
  readonly id: Digest | undefined;
  /** undefined: it has no layers. */
  readonly chainId: Digest | undefined;
  readonly config: BuildConfig;
  /** Of its history, and the diffIDs of its layers, lowest first. */
  readonly rows: readonly StepRow[];
  readonly diffIds: readonly Digest[];
}

export const SCRATCH: StageImage = { id: undefined, chainId: undefined, config: {}, rows: [], diffIds: [] };

/** Files with their index, to be looked up by path. */
export interface BuildFiles {
  readonly archive: SpooledArchive;
  readonly paths: SourcePaths;
}

/** A step leaves a container and a key or two: the next one of its stage, or of another, hardly ever waits for them. */
const MAX_BEHIND = 6;

export const SPOOL_LIMITS = { maxEntries: 500_000, maxBytes: 2 * 1024 ** 3 };

export interface SessionParts {
  readonly services: DockerfileBuilderOptions;
  readonly cache: BuildCache;
  readonly tenantId: TenantId;
  readonly request: BuildRequest;
  /** Of this build alone: it goes with it. */
  readonly folder: string;
  readonly report: (event: BuildEvent) => Promise<void>;
  readonly signal: AbortSignal;
}

/** One build, as its stages share it: what they stand on, the context, and what was spooled for them. */
export class BuildSession {
  readonly services: DockerfileBuilderOptions;
  readonly tenantId: TenantId;
  readonly request: BuildRequest;
  readonly signal: AbortSignal;
  /** Stages that are done, by their number. */
  readonly stages = new Map<number, StageImage>();
  private readonly holders = new Map<string, string>();
  private readonly bases = new Map<string, Promise<StageImage>>();
  /** What is under way behind the steps, and how the first of it failed. */
  private readonly tidying = new Set<Promise<void>>();
  private untidy: { readonly error: unknown } | undefined;
  private spools = 0;

  constructor(
    private readonly parts: SessionParts,
    readonly context: BuildFiles,
  ) {
    ({ services: this.services, tenantId: this.tenantId, request: this.request, signal: this.signal } = parts);
  }

  async report(event: BuildEvent): Promise<void> {
    this.mustGoOn();
    await this.parts.report(event);
  }

  /** @throws CodedError `invalid_argument` where warnings are errors */
  async warn(warnings: readonly LintWarning[], policy: LintPolicy): Promise<void> {
    const told = warnings.filter(({ rule }) => policy.accepts(rule));
    for (const { rule, message, place } of told) await this.report({ kind: 'warning', message, lint: { rule, ...place } });
    refuseWarnings(told, policy);
  }

  /** @throws CodedError `cancelled` */
  mustGoOn(): void {
    if (this.signal.aborted) throw new CodedError('cancelled', 'the build was cancelled');
  }

  /** The image of a key, if it is accepted, held from then on. undefined: none, or it is no more. */
  async cached(key: string, slot: string, accepts: (image: StageImage) => boolean): Promise<StageImage | undefined> {
    const imageId = await this.parts.cache.get(this.tenantId, key);
    if (imageId === undefined) return undefined;
    try {
      const record = await this.services.images.resolve(this.tenantId, imageId);
      if (!accepts(stageImageOf(record))) return undefined;
      const image = await this.held(record, slot);
      await this.parts.cache.used(this.tenantId, key);
      return image;
    } catch (error) {
      if (!isCodedError(error, 'not_found')) throw error;
      await this.parts.cache.forget(this.tenantId, key);
      return undefined;
    }
  }

  /** For builds to come: what follows in this one looks for nothing any more. */
  async remember(key: string, { id }: StageImage): Promise<void> {
    if (id !== undefined) await this.behind(() => this.parts.cache.put(this.tenantId, key, id));
  }

  /** What came from an image of `--cache-from` is told and pruned as the cache's. No step asks for this key: a build that does not name the image has nothing from it. */
  async noteBorrowed({ id }: StageImage): Promise<void> {
    if (id === undefined) return;
    const { cache } = this.parts;
    const key = cacheKey('borrowed', id);
    if ((await cache.get(this.tenantId, key)) === undefined) await cache.put(this.tenantId, key, id);
    else await cache.used(this.tenantId, key);
  }

  /** By name or ID, held from then on in the place of what the slot held. @throws CodedError `not_found` */
  async found(text: string, slot: string): Promise<StageImage> {
    return this.held(await this.services.images.resolve(this.tenantId, text), slot);
  }

  /** An image of the tenant's, or else of its registry; looked for once in a build. */
  base(name: string, step: number): Promise<StageImage> {
    const known = this.bases.get(name);
    if (known !== undefined) return known;
    const base = this.fetched(name, step);
    this.bases.set(name, base);
    return base;
  }

  /** An image whose steps are to count as known, held to the end: the one that is here, or else the registry's. @throws as pulls */
  cacheImage(name: string, step: number): Promise<StageImage> {
    return this.foundOrPulled(name, step, `cache-from ${name}`);
  }

  hold(record: ImageRecord, slot: string): void {
    const holder = this.holders.get(slot) ?? randomBytes(32).toString('hex');
    this.holders.set(slot, holder);
    this.services.images.hold(this.tenantId, record.id, record.config.rootfs.diff_ids.length === 0 ? undefined : record.chainId, { id: holder, running: true });
  }

  /** Begins what steps that follow need not wait for: `tidied` does. Waits itself where much is under way already. */
  async behind(work: () => Promise<void>): Promise<void> {
    // Its failure is the build's, at its end.
    const done: Promise<void> = work()
      .catch((error: unknown) => { this.untidy ??= { error }; })
      .finally(() => this.tidying.delete(done));
    this.tidying.add(done);
    while (this.tidying.size > MAX_BEHIND) await Promise.race(this.tidying);
  }

  /** Nothing of the steps is left. @throws what taking it away threw */
  async tidied(): Promise<void> {
    await Promise.all(this.tidying);
    if (this.untidy !== undefined) throw this.untidy.error;
  }

  releaseAll(): void {
    for (const holder of this.holders.values()) this.services.images.release(this.tenantId, holder);
  }

  /** To be removed by who asked for it; what is forgotten goes with the build's folder. */
  async spool(entries: AsyncIterable<TarEntryInput> | Iterable<TarEntryInput>): Promise<BuildFiles> {
    return this.spoolTar(writeTar(entries));
  }

  async spoolTar(tar: AsyncIterable<Uint8Array>): Promise<BuildFiles> {
    const archive = await SpooledArchive.of(this.newFile(), tar, SPOOL_LIMITS);
    return { archive, paths: new SourcePaths(archive) };
  }

  /** A name for a file of this build. */
  newFile(): string {
    this.spools += 1;
    return join(this.parts.folder, `spool-${this.spools}`);
  }

  /** @throws CodedError `not_found`: it is no more */
  private async held(record: ImageRecord, slot: string): Promise<StageImage> {
    this.hold(record, slot);
    // What is still there under a hold stays.
    return stageImageOf(await this.services.images.resolve(this.tenantId, record.id));
  }

  private fetched(name: string, step: number): Promise<StageImage> {
    const slot = `base ${name}`;
    return this.request.pull ? this.pulled(name, step, slot) : this.foundOrPulled(name, step, slot);
  }

  private async foundOrPulled(name: string, step: number, slot: string): Promise<StageImage> {
    try {
      return await this.found(name, slot);
    } catch (error) {
      if (!isCodedError(error, 'not_found')) throw error;
    }
    return this.pulled(name, step, slot);
  }

  private async pulled(name: string, step: number, slot: string): Promise<StageImage> {
    await this.pull(withDefaultTag(parseReference(name)), step);
    return this.found(name, slot);
  }

  private async pull(reference: ImageReference, step: number): Promise<void> {
    let told = Promise.resolve();
    const onProgress = (progress: TransferProgress): void => {
      // Of what moves without end, only the turns.
      if (progress.current === undefined) told = told.then(() => this.report({ kind: 'pull', step, progress })).catch(() => undefined);
    };
    const auth = this.request.authOf(reference.domain);
    await this.services.transfers.pull({ namespace: this.tenantId, reference, ...(auth === undefined ? {} : { auth }), signal: this.signal, onProgress });
    await told;
  }
}

export function stageImageOf(record: ImageRecord): StageImage {
  const { id, chainId, config } = record;
  const diffIds = config.rootfs.diff_ids;
  return { id, chainId: diffIds.length === 0 ? undefined : chainId, config: config.config, rows: stepRows(record), diffIds };
}
