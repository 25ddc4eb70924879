import { CodedError } from '#kernel';
import type { ContainerLog, LogPin, LogPosition } from './container-log.js';
import { LogCursor } from './log-cursor.js';
import { frameBytes, isEnd, isOutput, type FrameHead, type LogFrame } from './log-frames.js';

export interface ReaderOptions {
  /** The start whose end, or that of a later one, ends the reading. */
  readonly start: number;
  /** What is kept of earlier output, too. */
  readonly kept: boolean;
  /** Only output behind this number. */
  readonly after: number;
  /** False: to what there is now. */
  readonly follow: boolean;
  /** False: only the end is waited for; it holds nobody back. */
  readonly output: boolean;
}

/** What a reader needs of the channel: frames are counted by an index, from the first that came in this life of the worker. */
export interface ReadChannel {
  readonly log: ContainerLog;
  /** Index behind the newest frame. */
  readonly end: number;
  /** Of all that has come since the channel was made. */
  readonly totalBytes: number;
  /** Of what is in memory, and of that part of it which is not in the log. */
  readonly heldBytes: { readonly all: number; readonly pending: number };
  /** The number of the oldest piece in memory; undefined: none is. */
  readonly firstNumber: number | undefined;
  /** The first frame in memory and where it stands, or will stand, in the log. */
  readonly windowStart: { readonly index: number; readonly at: LogPosition };
  /** undefined: not in memory. */
  frameAt(index: number): LogFrame | undefined;
  endOf(start: number): FrameHead | undefined;
  /** The reader has gone on. */
  progressed(): void;
  /** The reader is gone. */
  forget(reader: ChannelReader): void;
}

/** Of a reader that stands in the log's files: no index. */
const IN_FILES = -1;

/** One who looks on. It stands in the channel's memory or, when it has come late or lags, in the log's files, until it has caught up. */
export class ChannelReader {
  /** Of the next frame in memory. */
  index: number;
  /** When it took something, by performance.now(). */
  tookAt = performance.now();
  private place: LogPosition | undefined;
  private pin: LogPin | undefined;
  private passedBytes: number;
  private readonly limit: number;
  private closed = false;
  /** Ends a reading of files. */
  private closing: AbortController | undefined;
  private failure: CodedError | undefined;
  private arrived: (() => void) | undefined;
  private readonly outcome = Promise.withResolvers<FrameHead | undefined>();

  constructor(
    private readonly channel: ReadChannel,
    private readonly options: ReaderOptions,
  ) {
    const end = channel.endOf(options.start);
    this.index = channel.end;
    this.passedBytes = channel.totalBytes;
    this.limit = options.follow && end === undefined ? Number.POSITIVE_INFINITY : channel.end;
    if (options.kept || options.after > 0) this.goBack();
    // Nothing of it will come any more.
    if (end !== undefined && (!options.output || this.index === this.limit)) this.finish(end);
  }

  /** How the process ended, when that was handed out behind all its output; undefined: the reader was closed before. */
  get ended(): Promise<FrameHead | undefined> {
    return this.outcome.promise;
  }

  get wantsOutput(): boolean {
    return this.options.output;
  }

  isClosed(): boolean {
    return this.closed;
  }

  get lagBytes(): number {
    return this.options.output ? this.channel.totalBytes - this.passedBytes : 0;
  }

  /** The pieces of output, until the process's end. One consumer. @throws CodedError `resource_exhausted` when it was cut off */
  async *pieces(): AsyncGenerator<LogFrame, undefined> {
    try {
      while (!this.isClosed()) {
        if (this.place !== undefined) {
          yield* this.fromFiles(this.place);
          continue;
        }
        const frame = this.takeHeld();
        if (frame !== undefined) yield frame;
        else if (this.index >= this.limit) this.finish();
        else if (!this.isClosed()) await this.arrival();
      }
    } finally {
      this.close();
    }
    if (this.failure !== undefined) throw this.failure;
  }

  wake(): void {
    if (this.options.output) this.arrived?.();
    else this.takeHeld();
  }

  /** What it stands at leaves the memory. */
  fallBack(at: LogPosition): void {
    this.place = at;
    this.pin = this.channel.log.pin(at);
    this.index = IN_FILES;
  }

  cutOff(): void {
    this.failure = new CodedError('resource_exhausted', 'the reader took nothing for too long and was cut off');
    this.close();
  }

  /** There is no more to come. */
  finish(end?: FrameHead): void {
    this.outcome.resolve(end);
    this.close();
  }

  close(): void {
    if (this.closed) return;
    this.closed = true;
    this.closing?.abort();
    this.outcome.resolve(undefined);
    if (this.pin !== undefined) this.channel.log.unpin(this.pin);
    this.channel.forget(this);
    this.arrived?.();
  }

  /** Where the first wanted piece lies: in memory, or else somewhere in the files. */
  private goBack(): void {
    const { channel, options } = this;
    const { firstNumber, windowStart, log, heldBytes } = channel;
    if (options.after > 0 && firstNumber !== undefined && firstNumber <= options.after + 1) {
      this.index = windowStart.index;
      this.passedBytes -= heldBytes.all;
      return;
    }
    this.fallBack(log.begin);
    this.passedBytes -= log.bytesFrom(log.begin) + heldBytes.pending;
  }

  /** The next piece in memory, past everything else. */
  private takeHeld(): LogFrame | undefined {
    while (this.index < this.limit && !this.isClosed() && this.place === undefined) {
      const frame = this.channel.frameAt(this.index);
      if (frame === undefined) return undefined;
      this.index += 1;
      const wanted = this.pass(frame);
      this.channel.progressed();
      if (wanted) return frame;
    }
    return undefined;
  }

  /** Counts a frame as taken. True: it is one to hand out. */
  private pass(frame: LogFrame): boolean {
    const { head } = frame;
    this.passedBytes += frameBytes(frame);
    this.tookAt = performance.now();
    if (isEnd(head) && head.start >= this.options.start) this.finish(head);
    return this.options.output && isOutput(head) && head.number > this.options.after;
  }

  private async *fromFiles(from: LogPosition): AsyncGenerator<LogFrame> {
    const cursor = new LogCursor(this.channel.log);
    const closing = (this.closing = new AbortController());
    try {
      let place = from;
      for (;;) {
        const { index, at } = this.channel.windowStart;
        if (at.segment === place.segment && at.offset === place.offset) {
          this.catchUp(index);
          return;
        }
        for await (const frame of cursor.frames(place, at, closing.signal)) {
          const wanted = this.pass(frame);
          this.channel.progressed();
          if (wanted) yield frame;
        }
        if (this.isClosed()) return;
        place = at;
        if (this.pin !== undefined) this.pin.segment = at.segment;
      }
    } finally {
      await cursor.close();
    }
  }

  private catchUp(index: number): void {
    if (this.pin !== undefined) this.channel.log.unpin(this.pin);
    this.pin = undefined;
    this.place = undefined;
    this.index = index;
    this.passedBytes = this.channel.totalBytes - this.channel.heldBytes.all;
  }

  private async arrival(): Promise<void> {
    await new Promise<void>((resolve) => {
      this.arrived = resolve;
    });
    this.arrived = undefined;
  }
}
