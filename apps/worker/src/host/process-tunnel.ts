import type { Duplex } from 'node:stream';
import { inputFramesOf, outputFrameHead, TUNNEL_EXEC_HEADER, TUNNEL_TTY_HEADER, type ProcessInputFrame, type TunnelFormat } from '#contracts';
import type { ProcessChunk, ProcessStream, TerminalSize } from '#engine';
import { CodedError, isCodedError } from '#kernel';
import { drained } from '../node/paced-write.js';
import type { RpcTunnel } from '../node/rpc-upgrades.js';

/** Above this size a copy costs more than a second write. */
const COPIED_BYTES = 8 * 1024;
const STDCOPY_NUMBERS = { stdout: 1, stderr: 2 } as const;

export interface ProcessTunnelOptions {
  readonly format: TunnelFormat;
  /** Whether input is for the program. If not it is thrown away. */
  readonly stdin: boolean;
  /** A reader that takes nothing for so long is cut. */
  readonly stallMs: number;
  readonly resize: (size: TerminalSize) => Promise<void>;
  /** Told with the answer. */
  readonly execId?: string;
  /** How the process ended, for the last frame. */
  readonly exit: (ended: { readonly exitCode: number }) => Promise<object>;
}

/**
 * One who looks on at a process, over a connection. What it reads sets the pace of the process, and the process's reading sets the pace of what it sends. To go
 * away, in whatever manner, never ends the process.
 */
export class ProcessTunnel implements RpcTunnel {
  readonly headers: Readonly<Record<string, string>>;
  private readonly format: Exclude<TunnelFormat, 'auto'>;

  constructor(
    private readonly stream: ProcessStream,
    private readonly options: ProcessTunnelOptions,
  ) {
    this.headers = { [TUNNEL_TTY_HEADER]: stream.tty ? '1' : '0', ...(options.execId === undefined ? {} : { [TUNNEL_EXEC_HEADER]: options.execId }) };
    this.format = options.format !== 'auto' ? options.format : stream.tty ? 'raw' : 'stdcopy';
  }

  abandon(): void {
    this.stream.close();
  }

  async run(socket: Duplex): Promise<void> {
    const close = (): void => {
      this.stream.close();
    };
    socket.once('close', close);
    void this.input(socket);
    try {
      await this.output(socket);
      await finished(socket, this.options.stallMs);
    } catch (error) {
      await this.fail(socket, error);
    } finally {
      close();
      socket.off('close', close);
    }
  }

  private async output(socket: Duplex): Promise<void> {
    const writer = new BatchingWriter(socket, this.options.stallMs);
    for await (const chunk of this.stream.output()) {
      if (!(await writer.write(this.head(chunk), chunk.bytes))) return;
    }
    if (this.format !== 'frames') return;
    const ended = await this.stream.ended;
    const bytes = Buffer.from(JSON.stringify(ended === undefined ? {} : await this.options.exit(ended)));
    await writer.write(outputFrameHead({ kind: 'end', seq: 0, timeMs: Date.now(), bytes }), bytes);
  }

  private head({ stream, seq, timeMs, bytes }: ProcessChunk): Buffer | undefined {
    if (this.format === 'raw') return undefined;
    if (this.format === 'frames') return outputFrameHead({ kind: stream, seq, timeMs, bytes });
    const head = Buffer.alloc(8);
    head.writeUInt8(STDCOPY_NUMBERS[stream], 0);
    head.writeUInt32BE(bytes.length, 4);
    return head;
  }

  /** Bytes alone cannot say that something is missing: the connection is cut. Frames can. */
  private async fail(socket: Duplex, error: unknown): Promise<void> {
    if (this.format !== 'frames' || socket.destroyed) {
      socket.destroy();
      return;
    }
    const { code, message } = isCodedError(error) ? error : new CodedError('internal', 'the stream broke off');
    const bytes = Buffer.from(JSON.stringify({ code, message }));
    socket.write(Buffer.concat([outputFrameHead({ kind: 'error', seq: 0, timeMs: Date.now(), bytes }), bytes]));
    await finished(socket, this.options.stallMs);
  }

  /**
   * Always frames, whatever the format of the output: an end that is meant for the program must not look like a caller that is gone, and both are an end of the
   * connection's half. Never throws: what ends it early closes the stream.
   */
  private async input(socket: Duplex): Promise<void> {
    try {
      for await (const frame of inputFramesOf(socket.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>)) await this.obey(frame);
    } catch (error) {
      if (isCodedError(error)) socket.destroy();
    }
    this.stream.close();
  }

  private async obey({ kind, bytes }: ProcessInputFrame): Promise<void> {
    if (kind === 'detach') this.stream.close();
    else if (kind === 'resize') await this.options.resize({ columns: bytes.readUInt16BE(0), rows: bytes.readUInt16BE(2) }).catch(() => undefined);
    else if (!this.options.stdin) return;
    else if (kind === 'end') await this.stream.end();
    else await this.stream.write(bytes);
  }
}

/** Small chunks that are there together leave together, large ones uncopied. */
class BatchingWriter {
  private corked = false;

  constructor(
    private readonly socket: Duplex,
    private readonly stallMs: number,
  ) {}

  async write(head: Buffer | undefined, bytes: Buffer): Promise<boolean> {
    const { socket } = this;
    if (socket.destroyed) return false;
    if (!this.corked) {
      this.corked = true;
      socket.cork();
      process.nextTick(() => {
        this.corked = false;
        socket.uncork();
      });
    }
    const room = head === undefined ? socket.write(bytes) : bytes.length <= COPIED_BYTES ? socket.write(Buffer.concat([head, bytes])) : [socket.write(head), socket.write(bytes)][1] === true;
    return room || drained(socket, this.stallMs);
  }
}

/** Ends our half. Resolves when all that was written has left, or the reader is gone. */
async function finished(socket: Duplex, stallMs: number): Promise<void> {
  if (socket.destroyed) return;
  const { promise, resolve } = Promise.withResolvers<undefined>();
  const timer = setTimeout(() => socket.destroy(), stallMs);
  const done = (): void => {
    resolve(undefined);
  };
  socket.once('finish', done).once('close', done);
  socket.end();
  await promise;
  clearTimeout(timer);
}
