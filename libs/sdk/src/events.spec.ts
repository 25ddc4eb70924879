import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { WebSocketServer, type WebSocket } from 'ws';
import { SandbarClient } from './client.js';

const event = (id: number) => ({ frame: 'event', id: String(id), time: new Date(id).toISOString(), type: 'sandbox', action: 'start', subject: 's', attributes: {} });
const heartbeat = (id: number) => ({ frame: 'heartbeat', id: String(id), time: new Date(id).toISOString() });
const GONE = '{"error":{"code":"gone","message":"not kept any more","details":{},"requestId":"req_1"}}';

describe('the stream of events', () => {
  let server: Server;
  let sockets: WebSocketServer;
  let asked: string[];

  /** Each visit gets its frames, then the connection breaks; `gone` is refused. */
  async function serve(...visits: (readonly object[] | 'gone')[]): Promise<SandbarClient> {
    asked = [];
    server = createServer();
    sockets = new WebSocketServer({ noServer: true });
    server.on('upgrade', (request, socket, head) => {
      asked.push((request.url ?? '').replace('/v1/events', ''));
      const frames = visits[asked.length - 1] ?? [];
      if (frames === 'gone') {
        socket.end(`HTTP/1.1 410 Gone\r\ncontent-length: ${GONE.length}\r\n\r\n${GONE}`);
        return;
      }
      sockets.handleUpgrade(request, socket, head, (ws: WebSocket) => {
        for (const frame of frames) ws.send(JSON.stringify(frame));
        ws.close(1013);
      });
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return new SandbarClient({ url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, apiKey: 'sbk_test' });
  }
  afterEach(async () => {
    for (const socket of sockets.clients) socket.terminate();
    sockets.close();
    await new Promise((resolve) => server.close(resolve));
  });

  async function first(count: number, events: AsyncIterable<{ readonly id: string }>): Promise<string[]> {
    const ids: string[] = [];
    for await (const { id } of events) if (ids.push(id) === count) break;
    return ids;
  }

  it('goes on behind the last event, or behind a heartbeat that says what was passed by, and doubles none', async () => {
    const client = await serve([heartbeat(1), event(2)], [heartbeat(2), event(2), event(3), heartbeat(9)], [event(10)]);
    expect(await first(3, client.events.follow({ types: ['sandbox', 'volume'], subjects: ['s'] }))).toEqual(['2', '3', '10']);
    expect(asked).toEqual(['?type=sandbox&type=volume&subject=s', '?type=sandbox&type=volume&subject=s&after=2', '?type=sandbox&type=volume&subject=s&after=9']);
  });

  it('ends when the server does not know what came meanwhile', async () => {
    const client = await serve([heartbeat(1)], 'gone');
    await expect(first(1, client.events.follow())).rejects.toMatchObject({ code: 'gone', status: 410 });
    expect(asked).toEqual(['', '?after=1']);
  });
});
