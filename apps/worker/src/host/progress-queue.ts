import type { ProgressLine } from '#contracts';

/**
 * Progress between a writer that does not wait and a reader that may be slow. Of the lines that were not taken yet, one stands for each id and status, with
 * the newest counts: their number is bounded by what is transferred, not by how long it takes.
 */
export class ProgressQueue implements AsyncIterable<ProgressLine> {
  private lines: ProgressLine[] = [];
  private ended = false;
  private wake = Promise.withResolvers<undefined>();

  push(line: ProgressLine): void {
    const at = this.lines.findLastIndex((other) => other.id === line.id && other.status === line.status);
    if (at < 0 || line.id === undefined) this.lines.push(line);
    else this.lines[at] = line;
    this.wake.resolve(undefined);
  }

  end(): void {
    this.ended = true;
    this.wake.resolve(undefined);
  }

  /** What is there, in order; empties it. */
  take(): ProgressLine[] {
    const taken = this.lines;
    this.lines = [];
    return taken;
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<ProgressLine, void, undefined> {
    for (;;) {
      this.wake = Promise.withResolvers<undefined>();
      const taken = this.take();
      yield* taken;
      if (taken.length > 0) continue;
      if (this.ended) return;
      await this.wake.promise;
    }
  }
}

/** Lines of what `work` says, then the one that it gives. What it throws ends the iteration. */
export async function* progressOf(work: (say: (line: ProgressLine) => void) => Promise<ProgressLine>): AsyncGenerator<ProgressLine, void, undefined> {
  const queue = new ProgressQueue();
  const done = work((line) => {
    queue.push(line);
  });
  const settled = done.then(
    () => { queue.end(); },
    () => { queue.end(); },
  );
  yield* queue;
  await settled;
  yield await done;
}
