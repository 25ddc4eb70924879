import type { GuestAgent } from '../../runtime/index.js';
import type { ProcessSink } from './process-sink.js';

/**
 * What the agent may forget. It is told one number for all its processes, so that number stays below the oldest event that is not safe, whosever it is.
 */
export class Acknowledgements {
  private taken = 0;
  private readonly waiting = new Set<ProcessSink>();

  constructor(private readonly agent: GuestAgent) {}

  /** An event has come and was handed to its sink; undefined: nobody wants it. */
  took(seq: number, sink: ProcessSink | undefined): void {
    this.taken = seq;
    if (sink?.oldestPending !== undefined) this.waiting.add(sink);
    else if (this.waiting.size === 0) this.tell();
  }

  /** Some of what waited is safe. */
  tell(): void {
    let safe = this.taken;
    for (const sink of [...this.waiting]) {
      const oldest = sink.oldestPending;
      if (oldest === undefined) this.waiting.delete(sink);
      else safe = Math.min(safe, oldest - 1);
    }
    if (safe > 0) this.agent.acknowledge(safe);
  }
}
