import { createServer, type Server, type Socket } from 'node:net';

const END = Buffer.from('0\r\n\r\n');
const HEAD_END = '\r\n\r\n';
const BUILT = '{"stream":"sha256:0"}\n';

/** Takes contexts as Docker's daemon does and looks at nothing in them: what is left is the time of the client that sends them. Bytes are counted, not parsed, so it costs the client next to nothing. */
export class ContextSink {
  readonly #server: Server;

  private constructor(server: Server) {
    this.#server = server;
  }

  static async start(): Promise<ContextSink> {
    const server = createServer(serve);
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return new ContextSink(server);
  }

  /** For `docker -H`. */
  get host(): string {
    const address = this.#server.address();
    if (address === null || typeof address === 'string') throw new Error('the sink does not listen');
    return `tcp://127.0.0.1:${String(address.port)}`;
  }

  async stop(): Promise<void> {
    await new Promise((resolve) => this.#server.close(resolve));
  }
}

/** One request after the other: a head, and of a build a body in chunks, whose end is all that is looked for. */
function serve(socket: Socket): void {
  let head = '';
  let tail: Buffer | undefined;
  socket.on('error', () => undefined);
  socket.on('data', (chunk: Buffer) => {
    if (tail === undefined) {
      head += chunk.toString('latin1');
      const end = head.indexOf(HEAD_END);
      if (end < 0) return;
      const rest = Buffer.from(head.slice(end + HEAD_END.length), 'latin1');
      const [method = '', path = ''] = head.split(' ', 2);
      head = '';
      if (!path.includes('/build')) {
        answer(socket, 'text/plain', method === 'HEAD' ? '' : 'OK');
        return;
      }
      tail = rest;
    } else {
      tail = chunk.length >= END.length ? chunk : Buffer.concat([tail, chunk]);
    }
    tail = tail.subarray(-END.length);
    if (!tail.equals(END)) return;
    tail = undefined;
    answer(socket, 'application/json', BUILT);
  });
}

function answer(socket: Socket, type: string, body: string): void {
  socket.write(`HTTP/1.1 200 OK\r\nApi-Version: 1.41\r\nBuilder-Version: 1\r\nOstype: linux\r\nContent-Type: ${type}\r\nContent-Length: ${String(body.length)}\r\n\r\n${body}`);
}
