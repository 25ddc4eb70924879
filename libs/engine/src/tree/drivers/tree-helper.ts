import { spawn, type ChildProcessWithoutNullStreams } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { CodedError, asError, errnoOf, type Logger } from '#kernel';
import { FRAME, encodeRequest, type TreeRequest } from './frames.js';
import { decodeResult, type TreeResult } from './frame-fields.js';

export interface Frame {
  readonly kind: number;
  readonly body: Buffer;
}

const LENGTH_BYTES = 4;
const EMPTY = Buffer.alloc(0);

/** One `sandbar-tree` process, which carries out one operation: its request is sent at once. */
export class TreeHelper {
  readonly #child: ChildProcessWithoutNullStreams;
  readonly #chunks: AsyncIterator<Buffer>;
  readonly #exited: Promise<void>;
  #ahead: Promise<IteratorResult<Buffer>>;
  #startError: Error | undefined;
  #pending: Buffer = EMPTY;
  #returned: Frame | undefined;
  #result: TreeResult | undefined;
  #gone = false;

  readonly #stallMs: number | undefined;

  /** `stallMs`: it is ended when it says and takes nothing for so long though it is waited for: a guest can hold up whoever looks at its files. */
  constructor(options: { program: string; logger: Logger; stallMs?: number }, request: TreeRequest) {
    this.#stallMs = options.stallMs;
    const child = spawn(options.program, [], { stdio: ['pipe', 'pipe', 'pipe'], env: {}, cwd: '/' });
    this.#child = child;
    // EPIPE: the helper ended before its input. Its result tells why.
    child.stdin.on('error', () => undefined);
    child.stderr.on('data', (chunk: Buffer) => {
      options.logger.error({ text: chunk.toString('utf8').trim() }, 'tree helper: said on stderr');
    });
    this.#exited = new Promise((resolve) => {
      const end = (error?: Error): void => {
        this.#startError ??= error;
        this.#gone = true;
        resolve();
      };
      child.once('error', end);
      child.once('exit', () => {
        end();
      });
    });
    this.#chunks = child.stdout[Symbol.asyncIterator]() as AsyncIterator<Buffer>;
    // Asked for at once: when a child exits, Node throws away what a stream holds that nobody reads yet.
    this.#ahead = this.#chunks.next();
    // Whoever wants the chunk sees the failure; after an early stop nobody does.
    this.#ahead.catch(() => undefined);
    child.stdin.write(encodeRequest(request));
  }

  /** Whether what is written still finds a reader. */
  get gone(): boolean {
    return this.#gone || this.#child.stdin.destroyed;
  }

  /** Resolves when the bytes are written, and the buffer is the caller's again. Bytes for a helper that is gone go nowhere. Never rejects. */
  async write(bytes: Uint8Array): Promise<void> {
    const { stdin } = this.#child;
    if (this.gone) return;
    const written = new Promise<void>((resolve) => {
      const done = (): void => {
        stdin.off('close', done);
        resolve();
      };
      stdin.once('close', done);
      stdin.write(bytes, done);
    });
    await this.#watched(written);
  }

  endInput(): void {
    this.#child.stdin.end();
  }

  /** The next frame that is none of the result's; undefined when the result is there. @throws CodedError `unavailable` when the helper ended without one */
  async next(): Promise<Frame | undefined> {
    for (;;) {
      const frame = this.#returned ?? this.#split();
      this.#returned = undefined;
      if (frame?.kind === FRAME.result) this.#result = decodeResult(frame.body);
      if (this.#result !== undefined) return undefined;
      if (frame !== undefined) return frame;
      const chunk = await this.#watched(this.#ahead);
      if (chunk.done === true) throw await this.#death();
      this.#ahead = this.#chunks.next();
      this.#ahead.catch(() => undefined);
      this.#pending = this.#pending.length === 0 ? chunk.value : Buffer.concat([this.#pending, chunk.value]);
    }
  }

  /** Gives a frame back: it is the next one again. */
  giveBack(frame: Frame): void {
    this.#returned = frame;
  }

  /** Reads on to the result. */
  async result(): Promise<TreeResult> {
    while ((await this.next()) !== undefined);
    if (this.#result === undefined) throw new CodedError('internal', 'the tree helper gave no result');
    return this.#result;
  }

  /** Waits for its end, as long as that. */
  async ended(graceMs: number): Promise<void> {
    const quit = new AbortController();
    await Promise.race([this.#exited, sleep(graceMs, undefined, { signal: quit.signal }).catch(() => undefined)]);
    quit.abort();
  }

  /** Ends it, finished or not, and waits for its end. Idempotent. */
  async stop(): Promise<void> {
    if (!this.#gone) this.#child.kill('SIGKILL');
    this.#child.stdin.destroy();
    this.#child.stdout.destroy();
    await this.#exited;
  }

  async #watched<T>(progress: Promise<T>): Promise<T> {
    if (this.#stallMs === undefined) return progress;
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), this.#stallMs);
    try {
      return await progress;
    } finally {
      clearTimeout(timer);
    }
  }

  #split(): Frame | undefined {
    if (this.#pending.length < LENGTH_BYTES) return undefined;
    const end = LENGTH_BYTES + this.#pending.readUInt32LE(0);
    if (this.#pending.length < end) return undefined;
    const frame = { kind: this.#pending.readUInt8(LENGTH_BYTES), body: this.#pending.subarray(LENGTH_BYTES + 1, end) };
    this.#pending = this.#pending.subarray(end);
    return frame;
  }

  async #death(): Promise<CodedError> {
    await this.#exited;
    const { exitCode, signalCode } = this.#child;
    const cause = this.#startError;
    if (cause === undefined) return new CodedError('unavailable', 'the tree helper ended in the middle of its work', { exitCode, signalCode });
    return new CodedError('internal', `the tree helper cannot be started: ${errnoOf(cause) ?? cause.message}`, {}, { cause: asError(cause) });
  }
}
