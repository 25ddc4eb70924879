import { mkdir, open, readdir, rm, type FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import { errnoOf } from '#kernel';
import type { FrameHead } from './log-frames.js';
import { segmentFrames } from './segment-frames.js';

/** Two halves are kept: at most 16 MiB a container. */
const HALF_BYTES = 8 * 1024 * 1024;
const SEGMENT = /^[0-9]{8}$/;

/** Where a reader stands. */
export interface LogPosition {
  readonly segment: number;
  readonly offset: number;
}

/**
 * The append-only log of one container in a folder of its own: files `00000001`, `00000002` … of which the newest two are kept. Written to the
 * page cache, not forced to disk: it must outlive the worker; when the machine goes down the sandbox goes with it.
 */
export class ContainerLog {
  #handle: FileHandle | undefined;
  #watchers = new Set<() => void>();
  #closed = false;

  private constructor(
    private readonly folder: string,
    private readonly halfBytes: number,
    private segment: number,
    private size: number,
    private oldest: number,
    private lastHead: FrameHead | undefined,
  ) {}

  /** Takes up what is there, without what a crash has torn. Makes nothing before the first append. */
  static async open(folder: string, halfBytes = HALF_BYTES): Promise<ContainerLog> {
    const segments = await segmentsIn(folder);
    const newest = segments.at(-1);
    if (newest === undefined) return new ContainerLog(folder, halfBytes, 1, 0, 1, undefined);
    const { size, last } = await scan(pathOf(folder, newest));
    const before = segments.at(-2);
    const lastHead = last ?? (before === undefined ? undefined : (await scan(pathOf(folder, before))).last);
    return new ContainerLog(folder, halfBytes, newest, size, segments[0] ?? newest, lastHead);
  }

  /** The newest frame, of whatever start. */
  get last(): FrameHead | undefined {
    return this.lastHead;
  }

  get end(): LogPosition {
    return { segment: this.segment, offset: this.size };
  }

  get begin(): LogPosition {
    return { segment: this.oldest, offset: 0 };
  }

  /** One call at a time. Whole frames; repeated after a failure it writes to the same place, so nothing stands there twice. */
  async append(frames: Buffer, last: FrameHead): Promise<void> {
    if (this.size > 0 && this.size + frames.length > this.halfBytes) await this.#turn();
    this.#handle ??= await this.#openSegment();
    let written = 0;
    while (written < frames.length) written += (await this.#handle.write(frames, written, frames.length - written, this.size + written)).bytesWritten;
    this.size += frames.length;
    this.lastHead = last;
    this.#wake();
  }

  /** Settles with the next append, or when the log is closed. */
  changed(signal: AbortSignal): Promise<void> {
    if (this.#closed || signal.aborted) return Promise.resolve();
    return new Promise((resolve) => {
      const done = (): void => {
        this.#watchers.delete(done);
        signal.removeEventListener('abort', done);
        resolve();
      };
      this.#watchers.add(done);
      signal.addEventListener('abort', done, { once: true });
    });
  }

  /** Wakes readers that follow: something else than the log has changed, such as the container's state. */
  nudge(): void {
    this.#wake();
  }

  get closed(): boolean {
    return this.#closed;
  }

  /** A handle for a reader; undefined when that segment is gone. The caller closes it. */
  async openSegment(segment: number): Promise<FileHandle | undefined> {
    try {
      return await open(pathOf(this.folder, segment), 'r');
    } catch (error) {
      if (errnoOf(error) === 'ENOENT') return undefined;
      throw error;
    }
  }

  /** The container does not run: the next append opens it again. */
  async rest(): Promise<void> {
    const handle = this.#handle;
    this.#handle = undefined;
    await handle?.close();
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#wake();
    await this.rest();
  }

  async remove(): Promise<void> {
    await this.close();
    await rm(this.folder, { recursive: true, force: true });
  }

  async #turn(): Promise<void> {
    await this.rest();
    const next = this.segment + 1;
    for (const old of await segmentsIn(this.folder)) if (old < this.segment) await rm(pathOf(this.folder, old), { force: true });
    this.oldest = this.segment;
    this.segment = next;
    this.size = 0;
  }

  async #openSegment(): Promise<FileHandle> {
    await mkdir(this.folder, { recursive: true, mode: 0o700 });
    const path = pathOf(this.folder, this.segment);
    const handle = await open(path, 'a', 0o600).then(async (made) => {
      await made.close();
      return open(path, 'r+');
    });
    // What a crash has torn behind the last whole frame must not be taken for one again.
    await handle.truncate(this.size);
    return handle;
  }

  #wake(): void {
    for (const watcher of [...this.#watchers]) watcher();
  }
}

function pathOf(folder: string, segment: number): string {
  return join(folder, String(segment).padStart(8, '0'));
}

async function segmentsIn(folder: string): Promise<number[]> {
  try {
    return (await readdir(folder)).filter((name) => SEGMENT.test(name)).map(Number).sort((one, other) => one - other);
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return [];
    throw error;
  }
}

async function scan(path: string): Promise<{ size: number; last: FrameHead | undefined }> {
  const handle = await open(path, 'r');
  try {
    const frames = segmentFrames(handle, 0, Number.MAX_SAFE_INTEGER, new AbortController().signal);
    let last: FrameHead | undefined;
    for (let next = await frames.next(); ; next = await frames.next()) {
      if (next.done === true) return { size: next.value, last };
      last = next.value.head;
    }
  } finally {
    await handle.close();
  }
}
