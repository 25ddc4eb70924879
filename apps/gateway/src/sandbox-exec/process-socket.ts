import type { RawData, WebSocket } from 'ws';
import { inputFrame, inputFrameHead, LOG_CLOSE_CODES, MAX_INPUT_FRAME_BYTES, processCommandSchema, resizeFrame, type ProcessCommand } from '#contracts';
import { CodedError, isCodedError } from '#kernel';
import type { ProcessConnection } from '../nodes/host-processes.js';
import { SlowReaderError, SocketWriter } from '../streams/socket-writer.js';
import { outputOf, type OutputChunk } from './process-output.js';

/** Of one message of a client: as much as a frame to the node holds. */
export const MAX_INPUT_BYTES = MAX_INPUT_FRAME_BYTES;
const HEAD_BYTES = 9;
/** Ctrl-D: a terminal has no end of its own. */
export const END_OF_TRANSMISSION = Buffer.from([4]);
const STREAM_NUMBERS = { stdout: 1, stderr: 2 } as const;

export interface ProcessSocketOptions {
  readonly after: number | undefined;
  /** False: input is refused. */
  readonly stdin: boolean;
  readonly signal: (signal: string) => Promise<void>;
}

/**
 * A process on a WebSocket. Binary messages to the client: u8 stream (1 stdout, 2 stderr), u64 BE seq, bytes; from it: input. Text messages are JSON: from the
 * client `resize`, `signal`, `eof`; to it the last one, `{"type":"exit",…}`, or `{"type":"error",…}` where something is wrong. The client's pace is the process's
 * and the process's the client's. To close it ends nothing.
 */
export class ProcessSocket {
  constructor(
    private readonly socket: WebSocket,
    private readonly connection: ProcessConnection,
    private readonly options: ProcessSocketOptions,
  ) {}

  /** Resolves when it is over, with the close code. Never rejects. To be called in the turn in which the socket is accepted. */
  async run(): Promise<number> {
    const { socket, connection } = this;
    const node = connection.socket;
    socket.on('message', (data, binary) => {
      this.hear(data, binary);
    });
    node.on('drain', () => {
      socket.resume();
    });
    socket.once('close', () => node.destroy());
    const code = await this.send();
    node.destroy();
    socket.close(code);
    return code;
  }

  private async send(): Promise<number> {
    const writer = new SocketWriter(this.socket);
    try {
      let complete = false;
      for await (const frame of outputOf(this.connection.socket, this.options.after)) {
        if (frame.type === 'output') await writer.sendBytes(message(frame));
        else {
          complete = true;
          await writer.send(JSON.stringify(frame));
        }
      }
      await writer.drained();
      return complete ? LOG_CLOSE_CODES.complete : LOG_CLOSE_CODES.unavailable;
    } catch (error) {
      if (error instanceof SlowReaderError) return LOG_CLOSE_CODES.slow;
      this.complain(error);
      return isCodedError(error, 'gone') ? LOG_CLOSE_CODES.gone : LOG_CLOSE_CODES.unavailable;
    }
  }

  private hear(data: RawData, binary: boolean): void {
    const bytes = Buffer.isBuffer(data) ? data : Buffer.concat(Array.isArray(data) ? data : [Buffer.from(data)]);
    if (binary) this.input(bytes);
    else this.obey(bytes.toString());
  }

  private input(bytes: Buffer): void {
    if (!this.options.stdin) {
      this.complain(new CodedError('failed_precondition', 'there is no input here'));
      return;
    }
    const node = this.connection.socket;
    if (node.destroyed || node.writableEnded) return;
    node.cork();
    node.write(inputFrameHead('stdin', bytes.length));
    const room = node.write(bytes);
    node.uncork();
    if (!room) this.socket.pause();
  }

  private obey(text: string): void {
    const command = commandOf(text);
    const node = this.connection.socket;
    if (command === undefined) {
      this.complain(new CodedError('invalid_argument', 'a text message is {"type":"resize"|"signal"|"eof",…}'));
      return;
    }
    if (node.destroyed || node.writableEnded) return;
    if (command.type === 'resize') node.write(resizeFrame(command));
    else if (command.type === 'signal') this.options.signal(command.signal).catch((error: unknown) => { this.complain(error); });
    else if (this.options.stdin) node.write(this.connection.tty ? inputFrame('stdin', END_OF_TRANSMISSION) : inputFrame('end'));
  }

  private complain(error: unknown): void {
    if (this.socket.readyState !== this.socket.OPEN) return;
    const { code, message } = isCodedError(error) ? error : new CodedError('internal', 'internal error');
    this.socket.send(JSON.stringify({ type: 'error', error: { code, message } }));
  }
}

function message({ stream, seq, bytes }: OutputChunk): Buffer {
  const whole = Buffer.allocUnsafe(HEAD_BYTES + bytes.length);
  whole.writeUInt8(STREAM_NUMBERS[stream], 0);
  whole.writeBigUInt64BE(BigInt(seq), 1);
  bytes.copy(whole, HEAD_BYTES);
  return whole;
}

function commandOf(text: string): ProcessCommand | undefined {
  try {
    return processCommandSchema.parse(JSON.parse(text));
  } catch {
    return undefined;
  }
}
