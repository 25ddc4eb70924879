import { setTimeout as sleep } from 'node:timers/promises';
import type { BuildCheckpoint, BuildFrame } from '#contracts';
import { asError, type BuildId, type Clock } from '#kernel';
import type { BuildLogStream } from '#queue';

/** A person sees no more than this. */
const INTERVAL_MS = 50;
/** Of frames that Redis has not got yet: behind them the build waits. */
const ROOM_BYTES = 256 * 1024;
/** Of one frame. */
export const MAX_FRAME_CHARACTERS = 32 * 1024;
/** What a frame costs beside its data, so that a flood of short lines ends too. */
export const FRAME_BYTES = 64;

/** A frame before it has its number. */
export type UnnumberedFrame<F = BuildFrame> = F extends BuildFrame ? Omit<F, 'seq' | 'time'> : never;

export interface BuildLogWriterOptions {
  readonly logs: Pick<BuildLogStream, 'append'>;
  readonly id: BuildId;
  readonly clock: Clock;
  /** To be written with each batch, as it is then. */
  readonly checkpoint: () => BuildCheckpoint;
}

/** Numbers frames and writes them in batches, each in one step with the checkpoint that belongs to it. */
export class BuildLogWriter {
  private readonly hurry = new AbortController();
  private pending: BuildFrame[] = [];
  private pendingBytes = 0;
  private pumping: Promise<void> | undefined;
  private failure: Error | undefined;

  /** `seq`: of the last frame that is there. */
  constructor(
    private readonly options: BuildLogWriterOptions,
    private seq: number,
  ) {}

  add(frame: UnnumberedFrame): void {
    this.seq += 1;
    this.pending.push({ ...frame, seq: this.seq, time: this.options.clock.now() });
    this.pendingBytes += FRAME_BYTES + ('data' in frame ? frame.data.length : 0);
  }

  /** As `add`; what follows itself becomes one frame, as long as nobody has it yet. */
  addOutput(frame: Extract<UnnumberedFrame, { type: 'output' }>): void {
    const last = this.pending.at(-1);
    if (last?.type !== 'output' || last.step !== frame.step || last.stream !== frame.stream || last.data.length + frame.data.length > MAX_FRAME_CHARACTERS) {
      this.add(frame);
      return;
    }
    this.pending[this.pending.length - 1] = { ...last, data: last.data + frame.data };
    this.pendingBytes += frame.data.length;
  }

  /** @throws what writing has thrown */
  check(): void {
    if (this.failure !== undefined) throw this.failure;
  }

  /** What was added is written in a moment. Waits while Redis is behind. */
  async flow(): Promise<void> {
    if (this.pending.length === 0) return;
    this.pumping ??= this.pump();
    if (this.pendingBytes > ROOM_BYTES) await this.pumping;
  }

  /** What was added is written. @throws as `check` */
  async finish(): Promise<void> {
    this.hurry.abort();
    await this.pumping;
    this.check();
  }

  /** The checkpoint too, when there is nothing else. */
  async write(checkpoint: BuildCheckpoint = this.options.checkpoint()): Promise<void> {
    const frames = this.pending;
    this.pending = [];
    this.pendingBytes = 0;
    await this.options.logs.append(this.options.id, frames, JSON.stringify(checkpoint));
  }

  private async pump(): Promise<void> {
    try {
      do {
        if (this.pendingBytes <= ROOM_BYTES) await sleep(INTERVAL_MS, undefined, { signal: this.hurry.signal }).catch(() => undefined);
        await this.write();
      } while (this.pending.length > 0);
    } catch (error) {
      this.failure ??= asError(error);
    } finally {
      this.pumping = undefined;
    }
  }
}
