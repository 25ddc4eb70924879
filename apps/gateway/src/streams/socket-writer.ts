import type { WebSocket } from 'ws';

const MAX_BUFFERED_BYTES = 1024 * 1024;
const STALL_MS = 30_000;

/** The reader took nothing for too long. */
export class SlowReaderError extends Error {
  override readonly name = 'SlowReaderError';
}

/** Sends to a WebSocket no faster than its peer reads: at most about a mebibyte waits in our memory. */
export class SocketWriter {
  private pending = 0;
  private failure: Error | undefined;
  private wake: (() => void) | undefined;

  constructor(
    private readonly socket: WebSocket,
    private readonly stallMs: number = STALL_MS,
  ) {
    socket.once('close', () => {
      this.fail(new Error('the socket is closed'));
    });
  }

  /** Resolves when there is room for more. @throws SlowReaderError when nothing was read for 30 s; Error when the socket is closed */
  send(text: string): Promise<void> {
    return this.push(text, Buffer.byteLength(text));
  }

  /** As `send`, a binary message. */
  sendBytes(message: Buffer): Promise<void> {
    return this.push(message, message.length);
  }

  /** Resolves when all that was sent has left. @throws as `send` */
  async drained(): Promise<void> {
    while (this.failure === undefined && this.pending > 0) await this.progress();
    if (this.failure !== undefined) throw this.failure;
  }

  private async push(message: string | Buffer, bytes: number): Promise<void> {
    this.pending += bytes;
    this.socket.send(message, (error) => {
      this.pending -= bytes;
      if (error == null) this.wake?.();
      else this.fail(error);
    });
    while (this.failure === undefined && this.pending > MAX_BUFFERED_BYTES) await this.progress();
    if (this.failure !== undefined) throw this.failure;
  }

  private async progress(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<undefined>();
    this.wake = () => {
      resolve(undefined);
    };
    const timer = setTimeout(() => {
      this.fail(new SlowReaderError('the reader is too slow'));
    }, this.stallMs);
    await promise;
    clearTimeout(timer);
    this.wake = undefined;
  }

  private fail(error: Error): void {
    this.failure ??= error;
    this.wake?.();
  }
}
