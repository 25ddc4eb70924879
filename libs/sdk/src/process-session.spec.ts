import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { WebSocketServer, type WebSocket } from 'ws';
import { SandbarClient } from './client.js';
import type { ProcessSession } from './process-session.js';

const EXIT = JSON.stringify({ type: 'exit', exitCode: 3, signal: null });

function output(seq: number, text: string, stream = 1): Buffer {
  const head = Buffer.alloc(9);
  head.writeUInt8(stream);
  head.writeBigUInt64BE(BigInt(seq), 1);
  return Buffer.concat([head, Buffer.from(text)]);
}

describe('a session', () => {
  let server: Server;
  let sockets: WebSocketServer;
  let asked: string[];

  async function serve(script: (socket: WebSocket, visit: number) => void): Promise<ProcessSession> {
    asked = [];
    server = createServer();
    sockets = new WebSocketServer({ noServer: true });
    server.on('upgrade', (request, socket, head) => {
      asked.push(request.url ?? '');
      sockets.handleUpgrade(request, socket, head, (ws) => {
        script(ws, asked.length);
      });
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return new SandbarClient({ url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, apiKey: 'sbk_test' }).execs.attach('web', 'build');
  }
  afterEach(async () => {
    for (const socket of sockets.clients) socket.terminate();
    sockets.close();
    await new Promise((resolve) => server.close(resolve));
  });

  async function read(session: ProcessSession): Promise<string[]> {
    const chunks: string[] = [];
    for await (const { stream, bytes } of session) chunks.push(`${stream} ${bytes.toString()}`);
    return chunks;
  }

  it('goes on behind the last chunk when its connection breaks, and knows how the program ended', async () => {
    const session = await serve((socket, visit) => {
      if (visit === 1) {
        socket.send(output(1, 'a'));
        socket.send(output(2, 'b', 2), () => { setTimeout(() => { socket.terminate(); }, 20); });
        return;
      }
      for (const chunk of [output(2, 'b', 2), output(3, 'c')]) socket.send(chunk);
      socket.send(EXIT);
      socket.close(1000);
    });
    expect(await read(session)).toEqual(['stdout a', 'stderr b', 'stdout c']);
    expect(session.exit).toEqual({ type: 'exit', exitCode: 3, signal: null });
    expect(asked).toEqual(['/v1/sandboxes/web/exec/build/attach?after=0', '/v1/sandboxes/web/exec/build/attach?after=2']);
  });

  it('sends input as bytes and everything else as words, in order, also before it is open', async () => {
    const heard: string[] = [];
    const session = await serve((socket) => {
      socket.on('message', (data: Buffer, isBinary) => {
        heard.push(isBinary ? `bytes ${data.toString()}` : data.toString());
        if (heard.length < 4) return;
        socket.send(EXIT);
        socket.close(1000);
      });
    });
    const sent = [session.write(Buffer.from('typed')), session.resize({ columns: 80, rows: 24 }), session.signal('INT'), session.end()];
    expect(await read(session)).toEqual([]);
    await Promise.all(sent);
    expect(heard).toEqual(['bytes typed', '{"type":"resize","columns":80,"rows":24}', '{"type":"signal","signal":"INT"}', '{"type":"eof"}']);
  });

  it('ends when it is closed here, and the program goes on', async () => {
    const session = await serve((socket) => {
      socket.send(output(1, 'a'));
    });
    const chunks: string[] = [];
    for await (const { bytes } of session) {
      chunks.push(bytes.toString());
      session.close();
    }
    expect({ chunks, exit: session.exit, visits: asked.length }).toEqual({ chunks: ['a'], exit: undefined, visits: 1 });
  });

  it('fails when what was written behind the last chunk is gone', async () => {
    const session = await serve((socket) => {
      socket.send(JSON.stringify({ type: 'error', error: { code: 'gone', message: 'no longer there' } }));
      socket.close(4410);
    });
    await expect(read(session)).rejects.toMatchObject({ code: 'gone' });
  });
});
