import { MAX_STEP_TEXT, MAX_STEPS, parseBuildCheckpoint, type BuildCheckpoint, type BuildOutcome, type BuildStep } from '#contracts';
import type { BuildEvent } from '#engine';
import type { BuildId, Clock } from '#kernel';
import type { BuildLogStream } from '#queue';
import { BuildLogWriter, FRAME_BYTES, MAX_FRAME_CHARACTERS } from './build-log-writer.js';

/** Of a build's log: after it output is left out, steps are still told. */
const MAX_LOG_BYTES = 16 * 1024 * 1024;
const MAX_WARNINGS = 100;

export interface BuildRecorderOptions {
  readonly logs: Pick<BuildLogStream, 'append'>;
  readonly id: BuildId;
  readonly clock: Clock;
}

/**
 * Tells a build's events to its log, numbered on from what an earlier attempt has written. With each batch goes a checkpoint in the same step, so that whoever takes the build
 * up again, at any moment, knows what was said: no number twice, none left out.
 */
export class BuildRecorder {
  private readonly progress: BuildCheckpoint;
  /** Steps that are under way, those too that the summary has no room for. */
  private readonly open = new Map<number, BuildStep>();
  private readonly writer: BuildLogWriter;
  private failedAt: number | undefined;
  private saved = false;

  /** `earlier`: what `last` of the log says; undefined: nothing was written yet. */
  constructor(
    private readonly options: BuildRecorderOptions,
    earlier: { readonly seq: number; readonly checkpoint: string | undefined } | undefined,
  ) {
    const before = earlier?.checkpoint === undefined ? undefined : parseBuildCheckpoint(earlier.checkpoint);
    const fresh = { attempt: 1, unended: 0, startedAt: options.clock.now(), outputBytes: 0, clipped: false, steps: [], warnings: [] };
    this.progress = before === undefined ? fresh : { ...before, attempt: before.attempt + 1, steps: before.steps.filter(({ state }) => state !== 'running') };
    this.writer = new BuildLogWriter({ ...options, checkpoint: () => this.progress }, earlier?.seq ?? 0);
  }

  get attempt(): number {
    return this.progress.attempt;
  }

  /** Of the first attempt, milliseconds since the epoch. */
  get startedAt(): number {
    return this.progress.startedAt;
  }

  /** The line of the Dockerfile whose step the build failed by. */
  get failedLine(): number | undefined {
    return this.failedAt;
  }

  /** Its time runs from now on, or from when the first attempt began. */
  begin(): void {
    if (this.progress.attempt === 1) this.progress.startedAt = this.options.clock.now();
  }

  /** What of a Git repository is built. */
  fetched(commit: string): void {
    this.progress.commit = commit;
  }

  /** Under how many attempts before this one the worker has died. */
  get deaths(): number {
    return this.progress.unended;
  }

  /** From now on the attempt counts as one that the worker died under, should nothing more be heard of it. */
  async save(): Promise<void> {
    this.progress.unended += 1;
    this.saved = true;
    await this.writer.write();
  }

  /** The attempt is given up in order: the node shuts down. */
  async release(): Promise<void> {
    await this.writer.finish();
    if (this.saved) this.progress.unended -= 1;
    this.saved = false;
    await this.writer.write();
  }

  /** Waits while Redis is behind. @throws what writing threw */
  async report(event: BuildEvent): Promise<void> {
    this.writer.check();
    this.take(event);
    await this.writer.flow();
  }

  /** The end frame, with all that was said before it. Idempotent for the log: its first end stays. */
  async end(result: Pick<BuildOutcome, 'state' | 'imageId' | 'digest' | 'error'>): Promise<BuildOutcome> {
    await this.writer.finish();
    for (const step of this.open.keys()) this.finish(step, 'cancelled', null);
    const { steps, warnings, commit } = this.progress;
    const outcome: BuildOutcome = { ...result, steps, warnings, ...(commit === undefined ? {} : { commit }) };
    this.writer.add({ type: 'end', state: result.state, imageId: result.imageId, error: result.error });
    await this.writer.write({ ...this.progress, outcome });
    return outcome;
  }

  private take(event: BuildEvent): void {
    const { attempt } = this.progress;
    switch (event.kind) {
      case 'step':
        this.begun(event);
        return;
      case 'log':
        this.output(event);
        return;
      case 'pull':
        this.writer.add({ type: 'pull', attempt, step: event.step, id: event.progress.id ?? null, status: event.progress.status });
        return;
      case 'cached':
        this.found(event.step);
        return;
      case 'done':
        this.finish(event.step, 'succeeded', event.durationMs);
        return;
      case 'failed':
        this.failedAt ??= event.line;
        this.finish(event.step, 'failed', event.durationMs);
        return;
      case 'warning':
        this.warned(event);
        return;
      // Docker's words for what the frames above say, and what the end frame says.
      case 'triggers':
      case 'running':
      case 'removed':
      case 'built':
      case 'tagged':
    }
  }

  private begun({ step, total, stage, stageName, text }: Extract<BuildEvent, { kind: 'step' }>): void {
    const { attempt, steps } = this.progress;
    this.writer.add({ type: 'step.started', attempt, step, total, stage, stageName, text });
    const summary: BuildStep = { step, stage, stageName, text: text.slice(0, MAX_STEP_TEXT).toWellFormed(), state: 'running', cached: false, durationMs: null, attempt };
    this.open.set(step, summary);
    const at = steps.findIndex((each) => each.step >= step);
    if (at >= 0 && steps[at]?.step === step) steps[at] = summary;
    else if (steps.length < MAX_STEPS) steps.splice(at < 0 ? steps.length : at, 0, summary);
    // An ARG before the first stage is over when it is read.
    if (stage < 0) this.finish(step, 'succeeded', 0);
  }

  private warned({ message, lint }: Extract<BuildEvent, { kind: 'warning' }>): void {
    const { warnings } = this.progress;
    if (warnings.length >= MAX_WARNINGS) return;
    warnings.push(lint === undefined ? message : `${lint.rule}: ${message} (line ${lint.line})`);
    this.writer.add({ type: 'warning', message, ...(lint === undefined ? {} : { rule: lint.rule, line: lint.line, column: lint.column }) });
  }

  private output({ step, stream, text }: Extract<BuildEvent, { kind: 'log' }>): void {
    const { progress } = this;
    if (progress.clipped) return;
    for (let from = 0; from < text.length; from += MAX_FRAME_CHARACTERS) {
      const data = text.slice(from, from + MAX_FRAME_CHARACTERS);
      progress.outputBytes += Buffer.byteLength(data) + FRAME_BYTES;
      if (progress.outputBytes > MAX_LOG_BYTES) {
        progress.clipped = true;
        this.writer.add({ type: 'clipped', maxBytes: MAX_LOG_BYTES });
        return;
      }
      this.writer.addOutput({ type: 'output', attempt: progress.attempt, step, stream, data });
    }
  }

  private found(number: number): void {
    const step = this.open.get(number);
    if (step !== undefined) this.open.set(number, { ...step, cached: true });
  }

  private finish(number: number, state: Exclude<BuildStep['state'], 'running'>, durationMs: number | null): void {
    const step = this.open.get(number);
    if (step === undefined) return;
    this.open.delete(number);
    const { attempt, steps } = this.progress;
    this.writer.add({ type: 'step.finished', attempt, step: number, state, cached: step.cached, durationMs: durationMs ?? 0 });
    this.progress.steps = steps.map((each) => (each.step === number ? { ...step, state, durationMs } : each));
  }
}
