import type { ProcessExit } from '#contracts';
import { resumed, type ResumeOptions } from './resumed.js';
import { ProcessSocket, type ProcessChunk } from './process-socket.js';
import type { Transport } from './transport.js';

export interface AttachOptions extends ResumeOptions {
  /** Output up to this `seq` is known; default 0: from the start. */
  readonly after?: number;
  /** False: to look on only. */
  readonly stdin?: boolean;
}

/**
 * A program and one who is attached to it. Its output comes in order, each chunk once, over as many connections as it takes; what is written while a connection breaks
 * may be lost. To close the session, or to lose it, ends nothing: whoever knows the exec's id attaches again.
 */
export class ProcessSession implements AsyncIterable<ProcessChunk> {
  #after: number;
  #socket: ProcessSocket;
  #exit: ProcessExit | undefined;
  #closed = false;

  constructor(
    private readonly transport: Transport,
    private readonly path: string,
    private readonly options: AttachOptions = {},
  ) {
    this.#after = options.after ?? 0;
    this.#socket = this.#connect();
  }

  /** How it ended: known when the output has been read to its end. undefined: the session was closed before. */
  get exit(): ProcessExit | undefined {
    return this.#exit;
  }

  /** The last chunk that was read: where another session would go on. */
  get after(): number {
    return this.#after;
  }

  /** To be read once, to its end: the program is held back while nobody reads. @throws SandbarApiError */
  async *[Symbol.asyncIterator](): AsyncGenerator<ProcessChunk> {
    let first: ProcessSocket | undefined = this.#socket;
    const connect = (): ProcessSocket => {
      const socket = first ?? this.#connect();
      first = undefined;
      this.#socket = socket;
      return socket;
    };
    const { signal } = this.options;
    const abort = (): void => {
      this.#socket.frames.fail(signal?.reason);
    };
    signal?.addEventListener('abort', abort, { once: true });
    const isNew = (frame: ProcessChunk | ProcessExit): boolean => frame.type === 'exit' || frame.seq > this.#after;
    try {
      for await (const frame of resumed('the session', this.options, { connect, isNew, over: () => this.#closed })) {
        if (frame.type === 'exit') {
          this.#exit = frame;
          return;
        }
        this.#after = frame.seq;
        yield frame;
      }
    } finally {
      signal?.removeEventListener('abort', abort);
    }
  }

  /** Resolves when the bytes have left: who waits for it keeps to the program's pace. @throws SandbarApiError `unavailable` */
  write(bytes: Uint8Array): Promise<void> {
    return this.#socket.write(bytes);
  }

  /** End of file, behind what was written. */
  end(): Promise<void> {
    return this.#socket.command({ type: 'eof' });
  }

  resize(size: { readonly columns: number; readonly rows: number }): Promise<void> {
    return this.#socket.command({ type: 'resize', ...size });
  }

  signal(signal: string): Promise<void> {
    return this.#socket.command({ type: 'signal', signal });
  }

  /** The program goes on. */
  close(): void {
    this.#closed = true;
    this.#socket.close();
  }

  #connect(): ProcessSocket {
    return new ProcessSocket(this.transport, this.path, { after: String(this.#after), ...(this.options.stdin === false ? { stdin: 'false' } : {}) });
  }
}
