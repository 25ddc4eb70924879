import { Duplex } from 'node:stream';
import type { RawData, WebSocket } from 'ws';

const END = JSON.stringify({ type: 'eof' });
const HELD_BYTES = 64 * 1024;

/**
 * A WebSocket as a connection with halves: binary messages are bytes, the text `{"type":"eof"}` ends the client's half, close 1000 ends ours and all. A client
 * that closes without having ended its half is gone.
 */
export class WebSocketHalves extends Duplex {
  private ended = false;

  constructor(private readonly socket: WebSocket) {
    super({ allowHalfOpen: true, highWaterMark: HELD_BYTES });
    socket.on('message', (data: RawData, isBinary) => {
      const bytes = Buffer.isBuffer(data) ? data : Buffer.concat(Array.isArray(data) ? data : [Buffer.from(data)]);
      if (!isBinary) this.hear(bytes.toString());
      else if (!this.ended && !this.push(bytes)) socket.pause();
    });
    socket.once('close', () => {
      this.destroy();
    });
  }

  override _read(): void {
    this.socket.resume();
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    this.socket.send(chunk, done);
  }

  /** What was sent before leaves before. */
  override _final(done: (error?: Error | null) => void): void {
    this.socket.close(1000);
    done();
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    // Idempotent behind a close that is under way: ws gives its peer thirty seconds to answer.
    if (!this.writableFinished) this.socket.terminate();
    done(error);
  }

  private hear(text: string): void {
    if (text !== END || this.ended) return;
    this.ended = true;
    this.push(null);
    // Nobody asks for more from here on, and the answer to our close has still to be read.
    this.socket.resume();
  }
}
