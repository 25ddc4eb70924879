import { rm, type FileHandle } from 'node:fs/promises';
import { encodeLogHead, frameBytes, type FrameHead, type LogFrame } from './log-frames.js';
import { createSegment, openSegment, removeSegment, scanSegment, segmentBytes, segmentsIn, writeAll, type LogPlace } from './log-segments.js';

const MIB = 1024 * 1024;

/** Beside what is kept: for readers that are behind. Who is attached holds the process back long before. */
const MAX_PINNED_BYTES = 64 * MIB;

/** How much of a log is kept: the newest `segments` files of at most `segmentBytes`. */
export interface LogShape {
  readonly segmentBytes: number;
  readonly segments: number;
}

export const DEFAULT_LOG_SHAPE: LogShape = { segmentBytes: 8 * MIB, segments: 2 };

/** Where a reader stands. */
export interface LogPosition {
  readonly segment: number;
  readonly offset: number;
}

/** What a reader still needs: files from there on stay, within bounds. */
export interface LogPin {
  segment: number;
}

/**
 * The append-only log of one process, in a folder of its own or under a prefix of its own: files `00000001`, `00000002` … of which the newest are kept. Written to the
 * page cache, not forced to disk: it must outlive the worker; when the machine goes down the sandbox goes with it.
 */
export class ContainerLog {
  #handle: FileHandle | undefined;
  #watchers = new Set<() => void>();
  #pins = new Set<LogPin>();
  #closed = false;
  /** Bytes of each kept segment; the last one is being written. */
  readonly #sizes = new Map<number, number>();
  #segment = 1;
  #last: FrameHead | undefined;
  #started: FrameHead | undefined;
  /** An earlier life of the worker has written to the newest segment. */
  #torn = false;

  private constructor(
    private readonly place: LogPlace,
    private readonly shape: LogShape,
  ) {
    this.#sizes.set(1, 0);
  }

  /** Takes up what is there, without what a crash has torn. Makes nothing before the first append. */
  static async open(folder: string, shape: LogShape = DEFAULT_LOG_SHAPE, prefix = ''): Promise<ContainerLog> {
    const place = { folder, prefix };
    const log = new ContainerLog(place, shape);
    const segments = await segmentsIn(place);
    if (segments.length > 0) log.#sizes.clear();
    log.#torn = segments.length > 0;
    for (const segment of segments) log.#sizes.set(segment, await segmentBytes(place, segment));
    log.#segment = segments.at(-1) ?? 1;
    // The newest may not hold a whole frame yet.
    for (const segment of segments.reverse()) {
      const { bytes, last, started } = await scanSegment(place, segment);
      log.#sizes.set(segment, bytes);
      log.#last = last;
      log.#started = started;
      if (last !== undefined) break;
    }
    return log;
  }

  /** One of which nothing is there yet. */
  static fresh(folder: string, shape: LogShape, prefix = ''): ContainerLog {
    return new ContainerLog({ folder, prefix }, shape);
  }

  /** The newest frame, of whatever start. */
  get last(): FrameHead | undefined {
    return this.#last;
  }

  /** The newest `started` frame that is kept. */
  get lastStarted(): FrameHead | undefined {
    return this.#started;
  }

  get end(): LogPosition {
    return { segment: this.#segment, offset: this.#size };
  }

  get begin(): LogPosition {
    return { segment: Math.min(...this.#sizes.keys()), offset: 0 };
  }

  /** From a position to the end. */
  bytesFrom({ segment, offset }: LogPosition): number {
    let bytes = -offset;
    for (const [each, size] of this.#sizes) if (each >= segment) bytes += size;
    return bytes;
  }

  /**
   * One call at a time. Writes as many of the frames as one segment takes. Repeated after a failure it writes to the same place, so nothing stands there twice.
   * @returns where each of them stands
   */
  async append(frames: readonly LogFrame[]): Promise<LogPosition[]> {
    const [first] = frames;
    if (first === undefined) return [];
    if (this.#size > 0 && this.#size + frameBytes(first) > this.shape.segmentBytes) await this.#turn();
    this.#handle ??= await this.#openSegment();
    const places: LogPosition[] = [];
    const buffers: Buffer[] = [];
    let end = this.#size;
    for (const frame of frames) {
      if (end > 0 && end + frameBytes(frame) > this.shape.segmentBytes) break;
      places.push({ segment: this.#segment, offset: end });
      buffers.push(encodeLogHead(frame.head));
      if (frame.payload.length > 0) buffers.push(frame.payload);
      end += frameBytes(frame);
    }
    await writeAll(this.#handle, buffers, this.#size);
    this.#sizes.set(this.#segment, end);
    for (const { head } of frames.slice(0, places.length)) {
      this.#last = head;
      if (head.type === 'started') this.#started = head;
    }
    // Not before the new one holds a frame: the newest frame is what a new worker goes on from.
    if (this.#sizes.size > this.shape.segments) await this.#prune();
    this.#wake();
    return places;
  }

  /** Keeps what is needed from there on, until `unpin`. */
  pin({ segment }: LogPosition): LogPin {
    const pin = { segment };
    this.#pins.add(pin);
    return pin;
  }

  unpin(pin: LogPin): void {
    this.#pins.delete(pin);
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
    return openSegment(this.place, segment);
  }

  /** The process does not run: the next append opens it again. */
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
    const { folder, prefix } = this.place;
    if (prefix === '') await rm(folder, { recursive: true, force: true });
    else await Promise.all([...this.#sizes.keys()].map((segment) => removeSegment(this.place, segment)));
  }

  get #size(): number {
    return this.#sizes.get(this.#segment) ?? 0;
  }

  async #turn(): Promise<void> {
    await this.rest();
    this.#segment += 1;
    this.#sizes.set(this.#segment, 0);
  }

  async #prune(): Promise<void> {
    const bound = this.#segment - this.shape.segments + 1 - Math.ceil(MAX_PINNED_BYTES / this.shape.segmentBytes);
    const needed = Math.min(this.#segment - this.shape.segments + 1, ...[...this.#pins].map(({ segment }) => segment));
    const oldest = Math.max(bound, needed);
    for (const segment of [...this.#sizes.keys()]) {
      if (segment >= oldest) continue;
      await removeSegment(this.place, segment);
      this.#sizes.delete(segment);
    }
  }

  async #openSegment(): Promise<FileHandle> {
    const handle = await createSegment(this.place, this.#segment);
    // What a crash has torn behind the last whole frame must not be taken for one again.
    if (this.#torn) await handle.truncate(this.#size);
    this.#torn = false;
    return handle;
  }

  #wake(): void {
    for (const watcher of [...this.#watchers]) watcher();
  }
}
