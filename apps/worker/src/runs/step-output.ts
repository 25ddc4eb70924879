import { isUtf8 } from 'node:buffer';
import type { StepResult } from '#contracts';
import { GrowingBytes } from './growing-bytes.js';
import { Utf8Splitter } from './utf8-splitter.js';

export type StreamName = 'stdout' | 'stderr';

/** What a restarted worker must know of a step's output besides its frames. `held`: base64. */
export interface OutputState {
  readonly held: Readonly<Record<StreamName, string>>;
  readonly truncated: Readonly<Record<StreamName, boolean>>;
}

/**
 * What one step has written: counted against its limit (stdout and stderr together), cut exactly at it, and kept for the result.
 * The result is made of the very bytes that went into frames, so log and result never disagree.
 */
export class StepOutput {
  private readonly kept: Record<StreamName, GrowingBytes> = { stdout: new GrowingBytes(), stderr: new GrowingBytes() };
  private readonly splitters: Record<StreamName, Utf8Splitter>;
  private readonly truncated: Record<StreamName, boolean>;
  private bytes = 0;

  constructor(
    private readonly limitBytes: number,
    state?: OutputState,
  ) {
    this.splitters = {
      stdout: new Utf8Splitter(Buffer.from(state?.held.stdout ?? '', 'base64')),
      stderr: new Utf8Splitter(Buffer.from(state?.held.stderr ?? '', 'base64')),
    };
    this.bytes = this.splitters.stdout.held.length + this.splitters.stderr.held.length;
    this.truncated = { ...(state?.truncated ?? { stdout: false, stderr: false }) };
  }

  get exceeded(): boolean {
    return this.truncated.stdout || this.truncated.stderr;
  }

  get state(): OutputState {
    return {
      held: { stdout: this.splitters.stdout.held.toString('base64'), stderr: this.splitters.stderr.held.toString('base64') },
      truncated: { ...this.truncated },
    };
  }

  /** Bytes that a frame of an earlier life of the worker holds. */
  restore(stream: StreamName, data: Buffer): void {
    this.bytes += data.length;
    this.kept[stream].append(data);
  }

  /** Gives the bytes to be framed now: whole characters, within the limit. */
  accept(stream: StreamName, data: Buffer): Buffer {
    if (data.length === 0) return data;
    if (this.exceeded) {
      this.truncated[stream] = true;
      return Buffer.alloc(0);
    }
    const kept = data.subarray(0, this.limitBytes - this.bytes);
    this.bytes += kept.length;
    if (kept.length < data.length) this.truncated[stream] = true;
    return this.keep(stream, this.splitters[stream].push(kept));
  }

  /** The step is over: what is held goes out as it is, unless the cut has split it. */
  flush(stream: StreamName): Buffer {
    const rest = this.splitters[stream].flush();
    return this.exceeded ? Buffer.alloc(0) : this.keep(stream, rest);
  }

  result(): Pick<StepResult, 'stdout' | 'stderr' | 'stdoutTruncated' | 'stderrTruncated' | 'encoding'> {
    const stdout = this.kept.stdout.bytes();
    const stderr = this.kept.stderr.bytes();
    const encoding = isUtf8(stdout) && isUtf8(stderr) ? 'utf8' : 'base64';
    return {
      stdout: stdout.toString(encoding),
      stderr: stderr.toString(encoding),
      stdoutTruncated: this.truncated.stdout,
      stderrTruncated: this.truncated.stderr,
      encoding,
    };
  }

  private keep(stream: StreamName, bytes: Buffer): Buffer {
    this.kept[stream].append(bytes);
    return bytes;
  }
}
