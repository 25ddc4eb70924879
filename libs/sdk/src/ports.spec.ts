import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import { WebSocketServer, type WebSocket } from 'ws';
import { SandbarClient } from './client.js';

describe('a connection to a port', () => {
  let server: Server;
  let sockets: WebSocketServer;

  async function serve(script: (socket: WebSocket) => void): Promise<Duplex> {
    server = createServer();
    sockets = new WebSocketServer({ noServer: true });
    server.on('upgrade', (request, socket, head) => {
      expect(request.url).toBe('/v1/sandboxes/web/ports/80');
      sockets.handleUpgrade(request, socket, head, script);
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return new SandbarClient({ url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, apiKey: 'sbk_test' }).ports.connect('web', 80);
  }
  afterEach(async () => {
    for (const socket of sockets.clients) socket.terminate();
    sockets.close();
    await new Promise((resolve) => server.close(resolve));
  });

  it('carries bytes both ways, and the end of each half by itself', async () => {
    const stream = await serve((socket) => {
      const got: Buffer[] = [];
      socket.on('message', (data: Buffer, isBinary) => {
        if (isBinary) got.push(data);
        else {
          // Only when the whole question is there.
          expect(data.toString()).toBe('{"type":"eof"}');
          socket.send(Buffer.concat([Buffer.from('you said '), ...got]));
          socket.close(1000);
        }
      });
    });
    stream.write('a question');
    stream.end(' in two pieces');
    let answer = '';
    for await (const chunk of stream) answer += String(chunk);
    expect(answer).toBe('you said a question in two pieces');
  });

  it('that is cut is an error, not an end', async () => {
    const stream = await serve((socket) => {
      socket.send(Buffer.from('half'));
      socket.close(1013);
    });
    await expect((async () => { for await (const chunk of stream) expect(String(chunk)).toBe('half'); })()).rejects.toThrow('broke');
  });

  it('waits for a reader that is slow', async () => {
    let sent = 0;
    const piece = Buffer.alloc(256 * 1024);
    const stream = await serve((socket) => {
      const more = (): void => {
        if (sent < 400) socket.send(piece, () => { sent += 1; more(); });
        else socket.close(1000);
      };
      more();
    });
    await new Promise((resolve) => setTimeout(resolve, 300));
    expect(sent).toBeLessThan(300);
    let bytes = 0;
    stream.on('data', (chunk: Buffer) => (bytes += chunk.length));
    await once(stream, 'end');
    expect(bytes).toBe(400 * piece.length);
  });
});
