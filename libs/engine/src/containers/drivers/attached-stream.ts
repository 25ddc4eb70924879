import type { AttachOptions, ProcessChunk, ProcessStream } from '../processes.js';
import type { ChannelReader } from './channel-reader.js';
import { exitCodeOf } from './container-execution.js';
import { DetachKeys } from './detach-keys.js';
import type { ProcessInput } from './process-input.js';

/** ctrl-p, ctrl-q. */
const DETACH_KEYS = Buffer.from([0x10, 0x11]);

export interface AttachedStreamParts {
  readonly tty: boolean;
  readonly options: AttachOptions;
  readonly reader: ChannelReader;
  /** Of the process when it runs; undefined: it has none, or will not run. */
  readonly input: () => Promise<ProcessInput | undefined>;
  /**
   * What the end of this client's input does to the process's: the first one ends it, or none does (a terminal's never: a client lets go of it so); and whether a
   * client that just goes away ends it too.
   */
  readonly endsInput: { readonly onEnd: boolean; readonly onClose: boolean };
}

/** One client's look at a process. */
export class AttachedStream implements ProcessStream {
  readonly tty: boolean;
  readonly ended: ProcessStream['ended'];
  private readonly keys: DetachKeys;
  private closed = false;

  constructor(private readonly parts: AttachedStreamParts) {
    const { tty, options, reader } = parts;
    this.tty = tty;
    this.keys = new DetachKeys(tty ? (options.detachKeys ?? DETACH_KEYS) : Buffer.alloc(0));
    this.ended = reader.ended.then((end) => (end === undefined ? undefined : { exitCode: exitCodeOf(end) }));
  }

  async *output(): AsyncGenerator<ProcessChunk> {
    const { reader, options, tty } = this.parts;
    for await (const { head, payload } of reader.pieces()) {
      const stream = head.type === 'stderr' && !tty ? 'stderr' : 'stdout';
      if (options[stream]) yield { seq: head.number, stream, timeMs: Math.floor(head.timeUs / 1000), bytes: payload };
    }
  }

  async write(bytes: Uint8Array): Promise<void> {
    if (this.closed || !this.parts.options.stdin) return;
    const typed = this.keys.push(bytes);
    if (typed.bytes.length > 0) await (await this.parts.input())?.write(typed.bytes);
    if (typed.detached) this.close();
  }

  async end(): Promise<void> {
    const { options, endsInput, input } = this.parts;
    if (this.closed || !options.stdin) return;
    // As with Docker: who has no more to say to a program that others may go on talking to has gone.
    if (!endsInput.onEnd) this.close();
    else await (await input())?.end();
  }

  close(): void {
    if (this.closed) return;
    this.closed = true;
    const { reader, options, endsInput, input } = this.parts;
    reader.close();
    if (options.stdin && endsInput.onClose) void input().then((each) => each?.end()).catch(() => undefined);
  }
}
