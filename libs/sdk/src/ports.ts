import { Duplex } from 'node:stream';
import WebSocket, { type RawData } from 'ws';
import { errorOfAnswer, unreachable } from './errors.js';
import { sandboxPath } from './sandboxes.js';
import type { Transport } from './transport.js';

const END = JSON.stringify({ type: 'eof' });

/** Ports that programs in the sandboxes of the key's tenant listen on, published or not. */
export class PortsApi {
  constructor(private readonly transport: Transport) {}

  /**
   * A TCP connection to the loopback of a sandbox. Half-open: each side ends its own half. Resolves when it is made.
   * @throws SandbarApiError `not_found`, `failed_precondition` (nothing listens there)
   */
  connect(sandbox: string, port: number): Promise<Duplex> {
    const { url, headers } = this.transport.socket(`${sandboxPath(sandbox)}/ports/${port}`, {});
    const socket = new WebSocket(url, { headers, handshakeTimeout: 30_000, maxPayload: 16 * 1024 * 1024, perMessageDeflate: false });
    return new Promise((resolve, reject) => {
      socket.once('unexpected-response', (request, answer) => {
        let body = '';
        answer.setEncoding('utf8').on('data', (chunk: string) => (body += chunk.slice(0, 64 * 1024)));
        answer.on('end', () => {
          reject(errorOfAnswer(answer.statusCode ?? 0, body));
          request.destroy();
        });
      });
      socket.once('error', (error) => {
        reject(unreachable(this.transport.url, error));
      });
      // What comes with the handshake is not missed: the stream listens from this turn on.
      socket.once('open', () => {
        resolve(new SocketStream(socket));
      });
    });
  }
}

/** Bytes as binary messages. `{"type":"eof"}` ends our half, close 1000 the other; any other close cuts the connection. */
class SocketStream extends Duplex {
  /** The other side has said all, and takes nothing any more. */
  private over = false;

  constructor(private readonly socket: WebSocket) {
    super({ allowHalfOpen: true });
    socket.on('message', (data: RawData) => {
      if (!this.push(Buffer.isBuffer(data) ? data : Buffer.concat(Array.isArray(data) ? data : [Buffer.from(data)]))) socket.pause();
    });
    socket.on('close', (code) => {
      this.over = code === 1000;
      if (this.over) this.push(null);
      else this.destroy(new Error('the connection broke'));
    });
    socket.on('error', (error) => {
      this.destroy(error);
    });
  }

  override _read(): void {
    this.socket.resume();
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    if (this.over) done();
    else this.socket.send(chunk, done);
  }

  override _final(done: (error?: Error | null) => void): void {
    if (this.over) done();
    else this.socket.send(END, done);
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    if (error === null) this.socket.close(1000);
    else this.socket.terminate();
    done(error);
  }
}
