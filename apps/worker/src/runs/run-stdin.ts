import type { GuestAgent, ProcessId } from '#engine';
import { CodedError } from '#kernel';

const CHUNK_BYTES = 64 * 1024;
interface Reader {
  readonly agent: GuestAgent;
  readonly id: ProcessId;
}

/** Calls that may wait for a program that does not read. */
const MAX_WAITING = 16;

/**
 * The one writer of a program's stdin: what the run came with first, then what callers send, in the order of their calls. A call is
 * answered when the agent has taken its bytes, so a caller is as fast as the program.
 */
export class RunStdin {
  private readonly ready = Promise.withResolvers<Reader>();
  private tail: Promise<void>;
  private readonly initial: Promise<void>;
  private waiting = 0;
  private closed: boolean;
  /** How many bytes the agent has taken. */
  private taken = 0;

  /** `open`: callers may send more until one says end-of-file. What they send before the program has started waits behind `initial`. */
  constructor(open: boolean, initial: Buffer) {
    this.closed = !open;
    this.initial = this.ready.promise.then((reader) => this.deliver(reader, initial, !open));
    this.tail = this.initial.catch(() => undefined);
  }

  /** The program has started, now or in an earlier life of the worker. Resolves when it has what the run came with: each byte once, whoever has sent it. */
  attach(agent: GuestAgent, id: ProcessId): Promise<void> {
    this.ready.resolve({ agent, id });
    return this.initial;
  }

  /** @throws CodedError `failed_precondition` (stdin is closed, or the program has ended), `resource_exhausted` (too many calls wait) */
  async write(data: Buffer, eof: boolean): Promise<void> {
    if (this.closed) throw new CodedError('failed_precondition', 'stdin of this run is closed');
    if (this.waiting >= MAX_WAITING) throw new CodedError('resource_exhausted', 'the program does not read its stdin: too many writes wait');
    this.closed = eof;
    this.waiting += 1;
    try {
      await this.enqueue(data, eof);
    } finally {
      this.waiting -= 1;
    }
  }

  /** The run is over: what waits fails. */
  end(): void {
    this.closed = true;
    this.ready.reject(new CodedError('failed_precondition', 'the program has ended'));
  }

  private enqueue(data: Buffer, eof: boolean): Promise<void> {
    const written = this.tail.then(async () => {
      await this.deliver(await this.ready.promise, data, eof);
    });
    this.tail = written.catch(() => undefined);
    return written;
  }

  private async deliver({ agent, id }: Reader, data: Buffer, eof: boolean): Promise<void> {
    const start = this.taken;
    // Once at least: the answer tells how much an earlier life of the worker has handed over.
    for (let at = 0; at === 0 || at < data.length; at += CHUNK_BYTES) {
      this.taken = await agent.writeStdin(id, start + at, data.subarray(at, at + CHUNK_BYTES));
    }
    if (eof) await agent.closeStdin(id);
  }
}
