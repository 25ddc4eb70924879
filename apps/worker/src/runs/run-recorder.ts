import type { EndFrame, LogFrame, OutputFrame } from '#contracts';
import { asError, type Clock, type Logger, type RunId } from '#kernel';
import type { RunLogStream } from '#queue';
import { persist } from './persist.js';
import type { RunCheckpoint } from './run-checkpoint.js';
import type { StepName } from './run-plan.js';
import type { StreamName } from './step-output.js';
import { encodeBytes, incompleteTail } from './utf8-splitter.js';

/** A frame is closed at this size; a reader gets no larger ones. */
const MAX_FRAME_BYTES = 64 * 1024;
/** What may wait to be written before the guest's output is left unread. */
const MAX_PENDING_BYTES = 512 * 1024;
/** Redis writes a batch in one step, so it must be a short one. */
const MAX_PENDING_FRAMES = 256;
/** What a piece costs besides its bytes, while it waits: a program may write single ones. */
const PIECE_BYTES = 128;
/**
 * From so many frames in a batch on, streams that take turns are gathered each for itself, and their order among each other within the batch
 * is lost; in a log that is very long from the second on. A frame of one byte takes a hundred in Redis.
 */
const CROWDED_FRAMES = 32;
const LONG_LOG_FRAMES = 10_000;
/** How long a checkpoint without a frame may wait for one. */
const QUIET_CHECKPOINT_MS = 50;

interface OpenFrame {
  readonly step: StepName;
  readonly stream: StreamName;
  readonly parts: Buffer[];
  bytes: number;
  readonly timeMs: number;
}

export interface RecorderOptions {
  readonly runId: RunId;
  readonly logs: RunLogStream;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Last number that is in the log already. */
  readonly seq: number;
  /** Ends all attempts to write: the worker gives the run up. */
  readonly signal: AbortSignal;
  /** Called when all events up to `agentSeq` are safe. */
  readonly acknowledge: (agentSeq: number) => void;
}

/**
 * The only writer of a run's log. Takes what comes, writes it in batches (while one is under way, the next gathers), each in one
 * piece with the checkpoint that belongs to it, and lets the agent forget only what is written.
 */
export class RunRecorder {
  private seq: number;
  private readonly pending: OpenFrame[] = [];
  private pendingBytes = 0;
  private checkpoint: RunCheckpoint | undefined;
  private writing: Promise<void> | undefined;
  private quietTimer: NodeJS.Timeout | undefined;
  private failure: Error | undefined;

  constructor(private readonly options: RecorderOptions) {
    this.seq = options.seq;
  }

  /** Bytes of one event; `checkpoint` is the state after it. */
  output(step: StepName, stream: StreamName, data: Buffer, checkpoint: RunCheckpoint): void {
    this.checkpoint = checkpoint;
    if (data.length > 0) {
      this.pendingBytes += data.length + PIECE_BYTES;
      for (const piece of pieces(data)) this.gather(step, stream, piece);
      this.write();
    } else this.quietly();
  }

  /** A state worth keeping, soon: with the next frame or alone. */
  note(checkpoint: RunCheckpoint): void {
    this.checkpoint = checkpoint;
    this.quietly();
  }

  /** Resolves when there is room for more. Events are not read until then. @throws what ended the writing */
  async room(): Promise<void> {
    while ((this.pendingBytes > MAX_PENDING_BYTES || this.pending.length > MAX_PENDING_FRAMES) && this.writing !== undefined) await this.writing;
    if (this.failure !== undefined) throw this.failure;
  }

  /** Everything said so far is written, `checkpoint` with it. @throws what ended the writing */
  async settle(checkpoint?: RunCheckpoint): Promise<void> {
    this.checkpoint = checkpoint ?? this.checkpoint;
    while (this.pending.length > 0 || this.checkpoint !== undefined || this.writing !== undefined) {
      this.write();
      await this.writing;
      if (this.failure !== undefined) throw this.failure;
    }
  }

  /** The last frame. Nothing may follow. */
  async end(frame: Omit<EndFrame, 'seq' | 'type' | 'time'>, checkpoint: RunCheckpoint): Promise<void> {
    clearTimeout(this.quietTimer);
    await this.settle();
    await this.append([{ seq: this.seq + 1, type: 'end', time: this.options.clock.now(), ...frame }], checkpoint);
    this.seq += 1;
  }

  /** Writes no more: the run is left as it is. */
  abandon(): void {
    clearTimeout(this.quietTimer);
    this.checkpoint = undefined;
    this.pending.length = 0;
  }

  private gather(step: StepName, stream: StreamName, data: Buffer): void {
    const crowded = this.pending.length >= (this.seq < LONG_LOG_FRAMES ? CROWDED_FRAMES : 1);
    const open = !crowded ? this.pending.at(-1) : this.pending.findLast((frame) => frame.step === step && frame.stream === stream);
    if (open?.step === step && open.stream === stream && open.bytes + data.length <= MAX_FRAME_BYTES) {
      open.parts.push(data);
      open.bytes += data.length;
    } else this.pending.push({ step, stream, parts: [data], bytes: data.length, timeMs: this.options.clock.now() });
  }

  private quietly(): void {
    this.quietTimer ??= setTimeout(() => {
      this.quietTimer = undefined;
      this.write();
    }, QUIET_CHECKPOINT_MS);
  }

  private write(): void {
    if (this.writing !== undefined || this.failure !== undefined || (this.pending.length === 0 && this.checkpoint === undefined)) return;
    this.writing = this.writeAll()
      .catch((error: unknown) => {
        this.failure = asError(error);
      })
      .finally(() => {
        this.writing = undefined;
      });
  }

  private async writeAll(): Promise<void> {
    while (this.pending.length > 0 || this.checkpoint !== undefined) {
      const frames = this.pending.splice(0).map((open, index) => outputFrame(open, this.seq + 1 + index));
      const { checkpoint } = this;
      this.checkpoint = undefined;
      this.pendingBytes = 0;
      clearTimeout(this.quietTimer);
      this.quietTimer = undefined;
      await this.append(frames, checkpoint);
      this.seq += frames.length;
      if (checkpoint !== undefined) this.options.acknowledge(checkpoint.agentSeq);
    }
  }

  private append(frames: readonly LogFrame[], checkpoint: RunCheckpoint | undefined): Promise<void> {
    const { runId, logs, signal, logger } = this.options;
    const text = checkpoint === undefined ? undefined : JSON.stringify(checkpoint);
    return persist('writing a run log', () => logs.append(runId, frames, text), { signal, logger });
  }
}

function outputFrame(open: OpenFrame, seq: number): OutputFrame {
  const bytes = open.parts.length === 1 && open.parts[0] !== undefined ? open.parts[0] : Buffer.concat(open.parts);
  return { seq, type: 'output', step: open.step, stream: open.stream, ...encodeBytes(bytes), time: open.timeMs };
}

/** At most `MAX_FRAME_BYTES` each, cut between characters. */
function* pieces(data: Buffer): Iterable<Buffer> {
  let rest = data;
  while (rest.length > MAX_FRAME_BYTES) {
    const piece = rest.subarray(0, MAX_FRAME_BYTES);
    const cut = MAX_FRAME_BYTES - incompleteTail(piece);
    yield rest.subarray(0, cut);
    rest = rest.subarray(cut);
  }
  yield rest;
}
