import type { LogChunk } from '../containers.js';
import type { FrameHead } from './log-frames.js';

/** A line longer than this is handed on in pieces, as Docker's copier does. */
const MAX_HELD_BYTES = 16 * 1024;
const NEWLINE = 10;

interface Held {
  bytes: Buffer;
  timeMs: number;
}

/** Makes whole lines of the pieces in which a process happened to write. The time of a line is that of its last piece. */
export class LineJoiner {
  private readonly held: Record<'stdout' | 'stderr', Held> = { stdout: { bytes: Buffer.alloc(0), timeMs: 0 }, stderr: { bytes: Buffer.alloc(0), timeMs: 0 } };

  /** The end of the process ends its last lines. */
  *push(head: FrameHead, payload: Buffer): Generator<LogChunk> {
    if (head.type === 'started') return;
    if (head.type !== 'stdout' && head.type !== 'stderr') {
      yield* this.flush();
      return;
    }
    const held = this.held[head.type];
    const timeMs = Math.floor(head.timeUs / 1000);
    const whole = payload.lastIndexOf(NEWLINE) + 1;
    if (whole > 0) {
      const lines = payload.subarray(0, whole);
      yield { stream: head.type, timeMs, bytes: held.bytes.length === 0 ? lines : Buffer.concat([held.bytes, lines]) };
      held.bytes = Buffer.alloc(0);
    }
    if (whole === payload.length) return;
    held.bytes = Buffer.concat([held.bytes, payload.subarray(whole)]);
    held.timeMs = timeMs;
    if (held.bytes.length < MAX_HELD_BYTES) return;
    yield this.take(head.type);
  }

  *flush(): Generator<LogChunk> {
    for (const stream of ['stdout', 'stderr'] as const) if (this.held[stream].bytes.length > 0) yield this.take(stream);
  }

  private take(stream: 'stdout' | 'stderr'): LogChunk {
    const { bytes, timeMs } = this.held[stream];
    this.held[stream].bytes = Buffer.alloc(0);
    return { stream, timeMs, bytes };
  }
}
