import { setTimeout as sleep } from 'node:timers/promises';
import { buildCheckpointSchema, MAX_STEP_TEXT, MAX_STEPS, type BuildCheckpoint, type BuildFrame, type BuildOutcome, type BuildStep } from '#contracts';
import type { BuildEvent } from '#engine';
import { asError, type BuildId, type Clock } from '#kernel';
import type { BuildLogStream } from '#queue';

/** A person sees no more than this. */
const INTERVAL_MS = 50;
/** Of frames that Redis has not got yet: behind them the build waits. */
const ROOM_BYTES = 256 * 1024;
/** Of one frame. */
const MAX_FRAME_CHARACTERS = 32 * 1024;
/** Of a build's log: after it output is left out, steps are still told. */
const MAX_LOG_BYTES = 16 * 1024 * 1024;
/** What a frame costs beside its data, so that a flood of short lines ends too. */
const FRAME_BYTES = 64;
const MAX_WARNINGS = 100;

/** A frame before it has its number. */
type Unnumbered<F = BuildFrame> = F extends BuildFrame ? Omit<F, 'seq' | 'time'> : never;

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
  private readonly hurry = new AbortController();
  private seq: number;
  private pending: BuildFrame[] = [];
  private pendingBytes = 0;
  private pumping: Promise<void> | undefined;
  private failure: Error | undefined;
  private failedAt: number | undefined;

  /** `earlier`: what `last` of the log says; undefined: nothing was written yet. */
  constructor(
    private readonly options: BuildRecorderOptions,
    earlier: { readonly seq: number; readonly checkpoint: string | undefined } | undefined,
  ) {
    const before = earlier?.checkpoint === undefined ? undefined : checkpointOf(earlier.checkpoint);
    this.seq = earlier?.seq ?? 0;
    const fresh = { attempt: 1, startedAt: options.clock.now(), outputBytes: 0, clipped: false, steps: [], warnings: [] };
    this.progress = before === undefined ? fresh : { ...before, attempt: before.attempt + 1, steps: before.steps.filter(({ state }) => state !== 'running') };
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

  /** The attempt counts, whatever becomes of it. */
  async save(): Promise<void> {
    await this.write(this.progress);
  }

  /** Waits while Redis is behind. @throws what writing threw */
  async report(event: BuildEvent): Promise<void> {
    if (this.failure !== undefined) throw this.failure;
    this.take(event);
    if (this.pending.length === 0) return;
    this.pumping ??= this.pump();
    if (this.pendingBytes > ROOM_BYTES) await this.pumping;
  }

  /** The end frame, with all that was said before it. Idempotent for the log: its first end stays. */
  async end(result: Pick<BuildOutcome, 'state' | 'imageId' | 'digest' | 'error'>): Promise<BuildOutcome> {
    this.hurry.abort();
    await this.pumping;
    if (this.failure !== undefined) throw this.failure;
    for (const step of this.open.keys()) this.finish(step, 'cancelled', null);
    const outcome: BuildOutcome = { ...result, steps: this.progress.steps, warnings: this.progress.warnings };
    this.add({ type: 'end', state: result.state, imageId: result.imageId, error: result.error });
    await this.write({ ...this.progress, outcome });
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
        this.add({ type: 'pull', attempt, step: event.step, id: event.progress.id ?? null, status: event.progress.status });
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
        if (this.progress.warnings.length >= MAX_WARNINGS) return;
        this.progress.warnings.push(event.message);
        this.add({ type: 'warning', message: event.message });
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
    this.add({ type: 'step.started', attempt, step, total, stage, stageName, text });
    const summary: BuildStep = { step, stage, stageName, text: text.slice(0, MAX_STEP_TEXT).toWellFormed(), state: 'running', cached: false, durationMs: null, attempt };
    this.open.set(step, summary);
    const at = steps.findIndex((each) => each.step >= step);
    if (at >= 0 && steps[at]?.step === step) steps[at] = summary;
    else if (steps.length < MAX_STEPS) steps.splice(at < 0 ? steps.length : at, 0, summary);
    // An ARG before the first stage is over when it is read.
    if (stage < 0) this.finish(step, 'succeeded', 0);
  }

  private output({ step, stream, text }: Extract<BuildEvent, { kind: 'log' }>): void {
    const { progress } = this;
    if (progress.clipped) return;
    for (let from = 0; from < text.length; from += MAX_FRAME_CHARACTERS) {
      const data = text.slice(from, from + MAX_FRAME_CHARACTERS);
      progress.outputBytes += Buffer.byteLength(data) + FRAME_BYTES;
      if (progress.outputBytes > MAX_LOG_BYTES) {
        progress.clipped = true;
        this.add({ type: 'clipped', maxBytes: MAX_LOG_BYTES });
        return;
      }
      this.append(step, stream, data);
    }
  }

  /** What follows itself becomes one frame, as long as nobody has it yet. */
  private append(step: number, stream: 'stdout' | 'stderr', data: string): void {
    const last = this.pending.at(-1);
    if (last?.type === 'output' && last.step === step && last.stream === stream && last.data.length + data.length <= MAX_FRAME_CHARACTERS) {
      this.pending[this.pending.length - 1] = { ...last, data: last.data + data };
      this.pendingBytes += data.length;
      return;
    }
    this.add({ type: 'output', attempt: this.progress.attempt, step, stream, data });
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
    this.add({ type: 'step.finished', attempt, step: number, state, cached: step.cached, durationMs: durationMs ?? 0 });
    this.progress.steps = steps.map((each) => (each.step === number ? { ...step, state, durationMs } : each));
  }

  private add(frame: Unnumbered): void {
    this.seq += 1;
    this.pending.push({ ...frame, seq: this.seq, time: this.options.clock.now() });
    this.pendingBytes += FRAME_BYTES + ('data' in frame ? frame.data.length : 0);
  }

  private async pump(): Promise<void> {
    try {
      do {
        if (this.pendingBytes <= ROOM_BYTES) await sleep(INTERVAL_MS, undefined, { signal: this.hurry.signal }).catch(() => undefined);
        await this.write(this.progress);
      } while (this.pending.length > 0);
    } catch (error) {
      this.failure ??= asError(error);
    } finally {
      this.pumping = undefined;
    }
  }

  private async write(checkpoint: BuildCheckpoint): Promise<void> {
    const frames = this.pending;
    this.pending = [];
    this.pendingBytes = 0;
    await this.options.logs.append(this.options.id, frames, JSON.stringify(checkpoint));
  }
}

/** Undefined when it is not what a worker wrote. */
export function checkpointOf(text: string): BuildCheckpoint | undefined {
  try {
    return buildCheckpointSchema.safeParse(JSON.parse(text)).data;
  } catch {
    return undefined;
  }
}
