import type { LogChunk, LogOptions } from '../containers.js';
import type { ContainerLog, LogPosition } from './container-log.js';
import { LineJoiner } from './line-joiner.js';
import { LogCursor } from './log-cursor.js';

export interface ReadLog {
  readonly log: ContainerLog;
  readonly options: LogOptions;
  /** Whether more may come: a reader that follows ends when the container does not run. */
  readonly running: () => boolean;
  readonly signal: AbortSignal;
  /** Milliseconds. */
  readonly now: () => number;
}

/**
 * The lines that are kept, oldest first. A chunk holds whole lines of one stream and one time; only the last line of a stream may lack its end.
 * Memory does not rise with the log: with `tail` it is read twice, first to count.
 */
export async function* readLog({ log, options, running, signal, now }: ReadLog): AsyncGenerator<LogChunk> {
  const from = log.begin;
  const pin = log.pin(from);
  const snapshot = log.end;
  const joiner = new LineJoiner();
  let position = from;
  const cursor = new LogCursor(log);
  try {
    let skip = options.tail === undefined ? 0 : Math.max(0, (await countBetween(log, options, from, snapshot, signal)) - options.tail);
    for (;;) {
      const alive = running();
      const end = log.end;
      for await (const frame of cursor.frames(position, end, signal)) {
        for (const chunk of select(options, joiner.push(frame.head, frame.payload))) {
          const kept = dropLines(chunk, skip);
          skip = Math.max(0, skip - countLines(chunk.bytes));
          if (kept !== undefined) yield kept;
        }
      }
      position = end;
      pin.segment = end.segment;
      if (signal.aborted) return;
      const more = position.segment !== log.end.segment || position.offset !== log.end.offset;
      if (options.follow && more) continue;
      if (!options.follow || !alive || log.closed || past(options, now())) break;
      // What changed while we read has woken nobody.
      if (running()) await log.changed(signal);
    }
    for (const chunk of select(options, joiner.flush())) {
      const kept = dropLines(chunk, skip);
      if (kept !== undefined) yield kept;
      skip = Math.max(0, skip - countLines(chunk.bytes));
    }
  } finally {
    log.unpin(pin);
    await cursor.close();
  }
}

function past(options: LogOptions, now: number): boolean {
  return options.untilMs !== undefined && now > options.untilMs;
}

async function countBetween(log: ContainerLog, options: LogOptions, from: LogPosition, to: LogPosition, signal: AbortSignal): Promise<number> {
  const cursor = new LogCursor(log);
  const joiner = new LineJoiner();
  let lines = 0;
  const count = (chunks: Iterable<LogChunk>): void => {
    for (const { bytes } of select(options, chunks)) lines += countLines(bytes);
  };
  try {
    for await (const frame of cursor.frames(from, to, signal)) count(joiner.push(frame.head, frame.payload));
    count(joiner.flush());
    return lines;
  } finally {
    await cursor.close();
  }
}

function* select(options: LogOptions, chunks: Iterable<LogChunk>): Generator<LogChunk> {
  for (const chunk of chunks) {
    if (!options[chunk.stream]) continue;
    if (options.sinceMs !== undefined && chunk.timeMs < options.sinceMs) continue;
    if (options.untilMs !== undefined && chunk.timeMs > options.untilMs) continue;
    yield chunk;
  }
}

function countLines(bytes: Buffer): number {
  let lines = 0;
  let at = bytes.indexOf(10);
  let end = 0;
  while (at >= 0) {
    lines += 1;
    end = at + 1;
    at = bytes.indexOf(10, end);
  }
  return end < bytes.length ? lines + 1 : lines;
}

/** Without its first `count` lines; undefined when nothing remains. */
function dropLines(chunk: LogChunk, count: number): LogChunk | undefined {
  let start = 0;
  for (let dropped = 0; dropped < count; dropped += 1) {
    const at = chunk.bytes.indexOf(10, start);
    if (at < 0 || at + 1 === chunk.bytes.length) return undefined;
    start = at + 1;
  }
  return start === 0 ? chunk : { ...chunk, bytes: chunk.bytes.subarray(start) };
}
