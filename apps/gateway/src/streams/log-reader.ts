import { CodedError } from '#kernel';
import type { LogStream } from '#queue';
import { pause } from '../platform/deadline.js';

const RETRY_MS = 250;

export interface ReadOptions {
  /** The reader has every frame up to this one. */
  readonly after: number;
  /** False: what is there now, then the end, be it over or not. */
  readonly follow: boolean;
}

export interface NumberedFrame {
  readonly seq: number;
  readonly type: string;
}

export type FrameSource = (signal: AbortSignal) => AsyncIterable<NumberedFrame>;

/** What a log belongs to. */
export interface LogSubject<I, F> {
  readonly id: I;
  /** Of a run, of a build: for a person. */
  readonly name: string;
  isFinal(): boolean;
  /** Looks again. True: it is final, or no more. */
  isOver(): Promise<boolean>;
  /** Of one that is final; undefined: it is not there. */
  saved(): Promise<F[] | undefined>;
}

/** Reads logs wherever they are: in Redis while the work goes on and some time after, in PostgreSQL for good. */
export class LogReader<I extends string, F extends NumberedFrame> {
  constructor(private readonly logs: LogStream<I, F>) {}

  /**
   * Checks first, so that a refusal can still be an answer. The frames end with the end frame (whatever `after` says: it is how a
   * reader knows that it has all) or when the signal fires.
   * @throws CodedError `gone` (neither Redis nor PostgreSQL has the log)
   */
  async open(subject: LogSubject<I, F>, { after, follow }: ReadOptions): Promise<FrameSource> {
    const last = await this.logs.last(subject.id);
    if (last === undefined && subject.isFinal()) {
      const saved = await savedAfter(subject, after);
      return () => replay(saved);
    }
    if (!follow || (last?.ended === true && last.seq <= after)) {
      const frames = afterOrEnd(await this.logs.readAll(subject.id), after);
      return () => replay(frames);
    }
    return (signal) => this.follow(subject, after, signal);
  }

  private async *follow(subject: LogSubject<I, F>, after: number, signal: AbortSignal): AsyncGenerator<F> {
    let position = after;
    while (!signal.aborted) {
      for await (const frame of this.logs.follow(subject.id, position, signal)) {
        yield frame;
        if (frame.type === 'end') return;
        position = frame.seq;
      }
      // The stream went while we read it: it expired after it was saved, or Redis lost it and the work goes on.
      if (await subject.isOver()) {
        yield* await savedAfter(subject, position);
        return;
      }
      await pause(RETRY_MS, signal);
    }
  }
}

async function savedAfter<I, F extends NumberedFrame>(subject: LogSubject<I, F>, after: number): Promise<F[]> {
  const frames = await subject.saved();
  if (frames === undefined) throw new CodedError('gone', `the log of this ${subject.name} is no longer there`);
  return afterOrEnd(frames, after);
}

/** The frames that the reader has not; always the end frame, when there is one. */
function afterOrEnd<F extends NumberedFrame>(frames: readonly F[], after: number): F[] {
  return frames.filter((frame) => frame.seq > after || frame.type === 'end');
}

// eslint-disable-next-line @typescript-eslint/require-await -- an async iterable of what is at hand
async function* replay<F>(frames: readonly F[]): AsyncGenerator<F> {
  yield* frames;
}
