import type { LogPosition } from './container-log.js';
import { frameBytes, isOutput, type LogFrame } from './log-frames.js';

/** Frames held in memory for who reads them live. Beyond it those who lag read from the log's files. */
const WINDOW_BYTES = 1024 * 1024;

export interface HeldFrame extends LogFrame {
  /** False: nobody will read it from the log. */
  readonly kept: boolean;
  /** Where it stands in the log; undefined while it does not. */
  at: LogPosition | undefined;
}

/** The newest frames of a channel, counted by an index from the first that came in this life of the worker: what is not written yet, and what readers are about to take. */
export class FrameWindow {
  /** Of all that has come. */
  totalBytes = 0;
  heldBytes = 0;
  /** Of what is not in the log. */
  pendingBytes = 0;
  private frames: HeldFrame[] = [];
  private first = 0;
  private written = 0;

  get start(): number {
    return this.first;
  }

  /** Index behind the newest. */
  get end(): number {
    return this.first + this.frames.length;
  }

  get oldest(): HeldFrame | undefined {
    return this.frames[0];
  }

  /** undefined: it is not in memory. */
  at(index: number): HeldFrame | undefined {
    return this.frames[index - this.first];
  }

  /** The number of the oldest piece of output in memory. */
  get firstNumber(): number | undefined {
    return this.frames.find(({ head }) => isOutput(head))?.head.number;
  }

  push(frame: HeldFrame): void {
    const bytes = frameBytes(frame);
    this.frames.push(frame);
    this.totalBytes += bytes;
    this.heldBytes += bytes;
    this.pendingBytes += bytes;
  }

  /** The oldest that are not written, at most so many. */
  pending(most: number): HeldFrame[] {
    return this.frames.slice(this.written - this.first, this.written - this.first + most);
  }

  get oldestPending(): HeldFrame | undefined {
    return this.frames[this.written - this.first];
  }

  /** The oldest that were not written stand there now. */
  wrote(places: readonly LogPosition[]): void {
    for (const at of places) {
      const frame = this.oldestPending;
      if (frame === undefined) return;
      frame.at = at;
      this.written += 1;
      this.pendingBytes -= frameBytes(frame);
    }
  }

  /** Drops what is written and no reader stands before, and of the rest what is too much. `onDropped` is told of each before it goes. */
  trim(needed: number, onDropped: (index: number, frame: HeldFrame) => void): void {
    let dropped = 0;
    for (const frame of this.frames) {
      const index = this.first + dropped;
      if (index >= this.written || (index >= needed && this.heldBytes <= WINDOW_BYTES)) break;
      onDropped(index, frame);
      this.heldBytes -= frameBytes(frame);
      dropped += 1;
    }
    if (dropped === 0) return;
    this.frames = this.frames.slice(dropped);
    this.first += dropped;
  }
}
