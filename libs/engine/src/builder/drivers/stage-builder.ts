import { CodedError, type Digest } from '#kernel';
import { type KeyedQueue } from '../../linux/index.js';
import { parseTriggers } from '../dockerfile/dockerfile.js';
import type { Instruction } from '../dockerfile/instructions.js';
import type { LintPolicy } from '../lint/check-directive.js';
import type { LintWarning } from '../lint/lint-warning.js';
import { DeclaredArguments } from '../stages/build-arguments.js';
import { withoutTriggers, withPath } from '../stages/config-changes.js';
import type { PlannedStage } from '../stages/stage-graph.js';
import { StageState } from '../stages/stage-state.js';
import type { CopyStep, RunStep, Step } from '../stages/steps.js';
import { appendStep } from './append-step.js';
import { cacheKey } from './build-cache.js';
import { SCRATCH, type BuildSession, type StageImage } from './build-session.js';
import type { CacheSources } from './cache-sources.js';
import { copySources } from './copy-sources.js';
import { prepareCopy } from './copy-step.js';
import { KnownSteps, type KnownStep, type StepToFind } from './known-steps.js';
import { prepareMounts } from './run-mounts.js';
import { runStep } from './run-step.js';
import { stepRecord } from './step-record.js';
import { directoryLayer } from './workdir-layer.js';

export interface StageWork {
  readonly session: BuildSession;
  readonly sources: CacheSources;
  readonly planned: PlannedStage;
  readonly earlier: readonly PlannedStage[];
  readonly instructions: readonly Exclude<Instruction, { kind: 'FROM' }>[];
  /** Of its FROM. */
  readonly firstStep: number;
  readonly totalSteps: number;
  readonly inherited: ReadonlyMap<string, string>;
  readonly escape: '\\' | '`';
  readonly policy: LintPolicy;
  /** Of cache mounts, across all builds. */
  readonly cacheTurns: KeyedQueue;
}

/** What a step is to do when its result is not known yet. `key`: what its image says that it was made by. */
interface PreparedStep {
  key(): string;
  make(key: string): Promise<StageImage>;
  close(): Promise<void>;
}

const NOTHING_TO_CLOSE = (): Promise<void> => Promise.resolve();

/** Carries a stage out, one instruction after the other. */
export class StageBuilder {
  private image: StageImage = SCRATCH;
  /** From the first step on that was not known, nothing is looked for any more. */
  private cacheEnded: boolean;
  private current: { readonly step: number; readonly line: number; readonly began: number } | undefined;
  private readonly warnings: LintWarning[] = [];
  private readonly known: KnownSteps;

  constructor(private readonly work: StageWork) {
    this.known = new KnownSteps(work.session, work.sources, this.slot);
    this.cacheEnded = work.session.request.noCache;
  }

  async build(): Promise<StageImage> {
    const { planned, instructions, session, firstStep, policy } = this.work;
    const state = await this.from();
    for (const [index, instruction] of instructions.entries()) {
      const number = firstStep + 1 + index;
      const done = await this.begin(number, instruction);
      const step = state.step(instruction);
      await session.warn(this.warnings.splice(0), policy);
      if (step !== undefined) await this.carryOut(step, number);
      await done();
    }
    session.stages.set(planned.index, this.image);
    return this.image;
  }

  /** Which step it was that threw. */
  async reportFailure(): Promise<void> {
    const { session } = this.work;
    if (this.current === undefined || session.signal.aborted) return;
    const { step, line, began } = this.current;
    await session.report({ kind: 'failed', step, line, durationMs: Math.round(session.services.clock.monotonicMs() - began) });
  }

  /** The base, with its triggers carried out. */
  private async from(): Promise<StageState> {
    const { planned, session, firstStep, inherited, escape } = this.work;
    const { base, stage } = planned;
    const done = await this.begin(firstStep, stage.from);
    if (base.kind === 'image') this.image = await session.base(base.name, firstStep);
    else if (base.kind === 'stage') this.image = session.stages.get(base.index) ?? SCRATCH;
    const { config } = this.image;
    const args = new DeclaredArguments(session.request.buildArgs, inherited);
    const state = new StageState({ config: withPath(withoutTriggers(config)), author: '', args, escape, warn: (warning) => this.warnings.push(warning) });
    const triggers = parseTriggers(config.OnBuild ?? [], stage.from);
    if (triggers.length > 0) await session.report({ kind: 'triggers', step: firstStep, count: triggers.length });
    for (const trigger of triggers) {
      const step = state.step(trigger);
      if (step !== undefined) await this.carryOut(step, firstStep);
    }
    await done();
    return state;
  }

  private async begin(step: number, { text, place }: Pick<Instruction, 'text' | 'place'>): Promise<() => Promise<void>> {
    const { session, planned, totalSteps: total } = this.work;
    const { clock } = session.services;
    const began = clock.monotonicMs();
    this.current = { step, line: place.line, began };
    await session.report({ kind: 'step', step, total, stage: planned.index, stageName: planned.name ?? null, text });
    return () => session.report({ kind: 'done', step, imageId: this.image.id ?? null, durationMs: Math.round(clock.monotonicMs() - began) });
  }

  private async carryOut(step: Step, number: number): Promise<void> {
    const { session } = this.work;
    session.mustGoOn();
    const sources = step.kind === 'copy' ? await copySources(session, step, this.work.earlier, number) : undefined;
    const quick = step.kind === 'copy' && sources !== undefined ? this.copyKey(step, sources.key) : undefined;
    const exact = sources?.exact === true ? quick : undefined;
    if (quick !== undefined && (await this.takeKnown(step, number, { key: quick, canonicalKey: exact })) !== undefined) return;
    const prepared = await this.prepare(step, number);
    try {
      // Not `quick`, which is by the stage that a file came from: of that, another who has this image has one of his own.
      const key = exact ?? prepared.key();
      const known = exact === undefined ? await this.takeKnown(step, number, { key, canonicalKey: key }) : undefined;
      if (known?.borrowed === true) return;
      if (known === undefined) {
        this.cacheEnded = true;
        this.image = await prepared.make(key);
        await session.remember(key, this.image);
      }
      if (quick !== undefined && quick !== key) await session.remember(quick, this.image);
    } finally {
      await prepared.close();
    }
  }

  /** Of a copy whose sources are known: neither they nor the image below need to be looked at. */
  private copyKey(step: CopyStep, sources: unknown): string {
    return cacheKey('copied', this.common(step), sources, step.sources, step.documents, step.destination, step.chown, step.chmod, step.flags);
  }

  private async takeKnown(step: Step, number: number, keys: Pick<StepToFind, 'key' | 'canonicalKey'>): Promise<KnownStep | undefined> {
    const known = this.cacheEnded ? undefined : await this.known.find({ below: this.image, step, number, ...keys });
    if (known === undefined) return undefined;
    this.image = known.image;
    await this.work.session.report({ kind: 'cached', step: number });
    return known;
  }

  private prepare(step: Step, number: number): Promise<PreparedStep> {
    switch (step.kind) {
      case 'config':
        return Promise.resolve({ key: () => cacheKey('config', this.common(step)), make: (key) => this.append(step, key), close: NOTHING_TO_CLOSE });
      case 'workdir':
        return Promise.resolve({ key: () => cacheKey('workdir', this.common(step), step.path), make: async (key) => this.append(step, key, await directoryLayer(this.work.session, this.image, step)), close: NOTHING_TO_CLOSE });
      case 'copy':
        return this.prepareCopy(step, number);
      case 'run':
        return this.prepareRun(step, number);
    }
  }

  private async prepareCopy(step: CopyStep, number: number): Promise<PreparedStep> {
    const { session, earlier } = this.work;
    const { key, layer, close } = await prepareCopy({ session, step, below: this.image, earlier, number });
    return { key: () => cacheKey('copy', this.common(step), key()), make: (made) => this.append(step, made, layer()), close };
  }

  private async prepareRun(step: RunStep, number: number): Promise<PreparedStep> {
    const { session, earlier, cacheTurns } = this.work;
    const mounts = await prepareMounts({ session, step, below: this.image, earlier, number, cacheTurns });
    const make = async (key: string): Promise<StageImage> => {
      if (this.image.id === undefined) throw new CodedError('invalid_argument', `The command '${step.argv.join(' ')}' cannot be run: there is no file in the image yet`);
      const below = this.image.id;
      const imageId = await this.inTurn(mounts.locks, async () => runStep({ session, step, below, mounts, record: stepRecord(this.image.rows, key), without: await mounts.ready(), number }));
      return session.found(imageId, this.slot);
    };
    return { key: () => cacheKey('run', this.common(step), step.argv, step.env, step.script, step.network, session.request.network, session.request.extraHosts ?? [], mounts.key), make, close: () => mounts.close() };
  }

  /** In one order, so that nobody waits for one who waits for him. */
  private inTurn(locks: readonly string[], work: () => Promise<Digest>): Promise<Digest> {
    const { session, cacheTurns } = this.work;
    return [...new Set(locks)].sort().reduceRight<() => Promise<Digest>>((inner, lock) => () => cacheTurns.run(`${session.tenantId}/${lock}`, inner), work)();
  }

  private async append(step: Step, key: string, layer?: AsyncIterable<Uint8Array>): Promise<StageImage> {
    return appendStep(this.work.session, this.slot, { below: this.image, step, key, ...(layer === undefined ? {} : { layer }) });
  }

  /** Of every key: what the step stands on, and what its image is to say. */
  private common({ config, author, createdBy }: Step): unknown[] {
    return [this.image.id ?? null, createdBy, author, Object.entries(config).sort(([one], [other]) => (one < other ? -1 : 1))];
  }

  private get slot(): string {
    return `stage ${this.work.planned.index}`;
  }
}
