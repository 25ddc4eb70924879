import type { FileHandle } from 'node:fs/promises';
import type { ContainerLog, LogPosition } from './container-log.js';
import type { LogFrame } from './log-frames.js';
import { segmentFrames } from './segment-frames.js';

/** Reads frames of segments that may be rotated away meanwhile: an open file stays readable, and one that is gone is passed over. */
export class LogCursor {
  private open: { readonly segment: number; readonly handle: FileHandle } | undefined;

  constructor(private readonly log: ContainerLog) {}

  async *frames(from: LogPosition, to: LogPosition, signal: AbortSignal): AsyncGenerator<LogFrame> {
    for (let segment = from.segment; segment <= to.segment; segment += 1) {
      const handle = await this.handleOf(segment);
      if (handle === undefined) continue;
      yield* segmentFrames(handle, segment === from.segment ? from.offset : 0, segment === to.segment ? to.offset : Number.MAX_SAFE_INTEGER, signal);
    }
  }

  async close(): Promise<void> {
    await this.open?.handle.close();
    this.open = undefined;
  }

  private async handleOf(segment: number): Promise<FileHandle | undefined> {
    if (this.open?.segment === segment) return this.open.handle;
    await this.close();
    const handle = await this.log.openSegment(segment);
    if (handle !== undefined) this.open = { segment, handle };
    return handle;
  }
}
