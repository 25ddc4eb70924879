import { setTimeout as sleep } from 'node:timers/promises';
import type { ProgressLine } from '#contracts';
import { asError } from '#kernel';
import { ProgressQueue } from '../host/progress-queue.js';

/** A person sees no more than this, and Redis need not store more. */
const INTERVAL_MS = 100;

/** Writes progress in batches, in order, while the work goes on without waiting. A failure to write is told by `flush`. */
export class ProgressPump {
  private readonly queue = new ProgressQueue();
  private pumping: Promise<void> | undefined;
  private failure: Error | undefined;

  constructor(private readonly write: (lines: readonly ProgressLine[]) => Promise<void>) {}

  say(line: ProgressLine): void {
    this.queue.push(line);
    this.pumping ??= this.pump(INTERVAL_MS);
  }

  /** Everything said so far is written. */
  async flush(): Promise<void> {
    await this.pumping;
    await this.pump(0);
    if (this.failure !== undefined) throw this.failure;
  }

  private async pump(waitMs: number): Promise<void> {
    if (waitMs > 0) await sleep(waitMs);
    try {
      const lines = this.queue.take();
      if (lines.length > 0) await this.write(lines);
    } catch (error) {
      this.failure ??= asError(error);
    } finally {
      this.pumping = undefined;
    }
  }
}
