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
import { cacheKey } from './build-cache.js';
import { SCRATCH, stageImageOf, type BuildSession, type StageImage } from './build-session.js';
import { copySources } from './copy-sources.js';
import { prepareCopy } from './copy-step.js';
import { prepareMounts } from './run-mounts.js';
import { runStep } from './run-step.js';
import { directoryLayer } from './workdir-layer.js';

export interface StageWork {
  readonly session: BuildSession;
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

/** What a step is to do when its result is not known yet. */
interface PreparedStep {
  key(): string;
  make(): Promise<StageImage>;
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

  constructor(private readonly work: StageWork) {
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
    const quick = step.kind === 'copy' && sources !== undefined ? [this.copyKey(step, sources.key)] : [];
    if (await this.takeKnown(quick, number)) return;
    const prepared = await this.prepare(step, number);
    try {
      const keys = sources?.exact === true ? [] : [prepared.key()];
      const known = await this.takeKnown(keys, number);
      if (!known) {
        this.cacheEnded = true;
        this.image = await prepared.make();
      }
      for (const each of known ? quick : [...keys, ...quick]) await session.remember(each, this.image);
    } finally {
      await prepared.close();
    }
  }

  /** Of a copy whose sources are known: neither they nor the image below need to be looked at. */
  private copyKey(step: CopyStep, sources: unknown): string {
    return cacheKey('copied', this.common(step), sources, step.sources, step.documents, step.destination, step.chown, step.chmod, step.flags);
  }

  private async takeKnown(keys: readonly string[], number: number): Promise<boolean> {
    const { session } = this.work;
    for (const key of this.cacheEnded ? [] : keys) {
      const known = await session.cached(key, this.slot);
      if (known === undefined) continue;
      this.image = known;
      await session.report({ kind: 'cached', step: number });
      return true;
    }
    return false;
  }

  private prepare(step: Step, number: number): Promise<PreparedStep> {
    switch (step.kind) {
      case 'config':
        return Promise.resolve({ key: () => cacheKey('config', this.common(step)), make: () => this.append(step), close: NOTHING_TO_CLOSE });
      case 'workdir':
        return Promise.resolve({ key: () => cacheKey('workdir', this.common(step), step.path), make: async () => this.append(step, await directoryLayer(this.work.session, this.image, step)), close: NOTHING_TO_CLOSE });
      case 'copy':
        return this.prepareCopy(step, number);
      case 'run':
        return this.prepareRun(step, number);
    }
  }

  private async prepareCopy(step: CopyStep, number: number): Promise<PreparedStep> {
    const { session, earlier } = this.work;
    const { key, layer, close } = await prepareCopy({ session, step, below: this.image, earlier, number });
    return { key: () => cacheKey('copy', this.common(step), key()), make: () => this.append(step, layer()), close };
  }

  private async prepareRun(step: RunStep, number: number): Promise<PreparedStep> {
    const { session, earlier, cacheTurns } = this.work;
    const mounts = await prepareMounts({ session, step, below: this.image, earlier, number, cacheTurns });
    const make = async (): Promise<StageImage> => {
      if (this.image.id === undefined) throw new CodedError('invalid_argument', `The command '${step.argv.join(' ')}' cannot be run: there is no file in the image yet`);
      const below = this.image.id;
      const imageId = await this.inTurn(mounts.locks, async () => runStep({ session, step, below, mounts, without: await mounts.ready(), number }));
      return session.found(imageId, this.slot);
    };
    return { key: () => cacheKey('run', this.common(step), step.argv, step.env, step.script, step.network, session.request.network, session.request.extraHosts ?? [], mounts.key), make, close: () => mounts.close() };
  }

  /** In one order, so that nobody waits for one who waits for him. */
  private inTurn(locks: readonly string[], work: () => Promise<Digest>): Promise<Digest> {
    const { session, cacheTurns } = this.work;
    return [...new Set(locks)].sort().reduceRight<() => Promise<Digest>>((inner, lock) => () => cacheTurns.run(`${session.tenantId}/${lock}`, inner), work)();
  }

  private async append({ config, author, createdBy }: Step, layer?: AsyncIterable<Uint8Array>): Promise<StageImage> {
    const { session } = this.work;
    const record = await session.services.images.append(session.tenantId, { base: this.image.id, config, author, createdBy, ...(layer === undefined ? {} : { layer }) });
    session.hold(record, this.slot);
    return stageImageOf(record);
  }

  /** Of every key: what the step stands on, and what its image is to say. */
  private common({ config, author, createdBy }: Step): unknown[] {
    return [this.image.id ?? null, createdBy, author, Object.entries(config).sort(([one], [other]) => (one < other ? -1 : 1))];
  }

  private get slot(): string {
    return `stage ${this.work.planned.index}`;
  }
}
