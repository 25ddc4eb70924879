import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { LogFrame } from '#contracts';
import { WebSocketServer, type WebSocket } from 'ws';
import { SandbarClient } from './client.js';

type Script = (socket: WebSocket, after: number, visit: number) => void;

const output = (seq: number, data = `${seq}\n`) => ({ seq, type: 'output', step: 'run', stream: 'stdout', data, encoding: 'utf8', time: 1 });
const end = (seq: number) => ({ seq, type: 'end', state: 'succeeded', exitCode: 0, signal: null, time: 1 });
const send = (socket: WebSocket, ...frames: object[]) => {
  for (const frame of frames) socket.send(JSON.stringify(frame));
};

let server: Server;
let sockets: WebSocketServer;
let visits: { after: number; authorization: string | undefined }[];

async function serve(script: Script): Promise<SandbarClient> {
  visits = [];
  server = createServer((_, answer) => answer.writeHead(404, { 'content-type': 'application/json' }).end('{"error":{"code":"not_found","message":"no such run","details":{},"requestId":"req_1"}}'));
  sockets = new WebSocketServer({ noServer: true });
  server.on('upgrade', (request, socket, head) => {
    const url = new URL(request.url ?? '', 'http://x');
    if (url.pathname !== '/v1/runs/run_1/logs') {
      const body = '{"error":{"code":"not_found","message":"no such run","details":{},"requestId":"req_2"}}';
      socket.end(`HTTP/1.1 404 Not Found\r\ncontent-length: ${body.length}\r\n\r\n${body}`);
      return;
    }
    const after = Number(url.searchParams.get('after'));
    visits.push({ after, authorization: request.headers.authorization });
    sockets.handleUpgrade(request, socket, head, (ws) => {
      script(ws, after, visits.length);
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

async function collect(frames: AsyncIterable<LogFrame>): Promise<number[]> {
  const seqs: number[] = [];
  for await (const frame of frames) seqs.push(frame.seq);
  return seqs;
}

it('reads to the end frame, and authenticates by header', async () => {
  const client = await serve((socket) => {
    send(socket, output(1), output(2), end(3));
  });
  expect(await collect(client.runs.logs('run_1'))).toEqual([1, 2, 3]);
  expect(visits).toEqual([{ after: 0, authorization: 'Bearer sbk_test' }]);
});

it('goes on after the last frame when the connection breaks, without gap or double', async () => {
  const client = await serve((socket, after, visit) => {
    if (visit === 1) {
      send(socket, output(1), output(2));
      setTimeout(() => {
        socket.terminate();
      }, 20);
    } else if (visit === 2) socket.close(1001);
    else send(socket, output(after), output(after + 1), end(after + 2));
  });
  expect(await collect(client.runs.logs('run_1'))).toEqual([1, 2, 3, 4]);
  expect(visits.map(({ after }) => after)).toEqual([0, 2, 2]);
});

it('holds every frame of a fast sender for a slow reader', async () => {
  const count = 5000;
  const client = await serve((socket) => {
    for (let seq = 1; seq < count; seq += 1) send(socket, output(seq, 'x'.repeat(100)));
    send(socket, end(count));
  });
  let expected = 1;
  for await (const frame of client.runs.logs('run_1')) {
    expect(frame.seq).toBe(expected);
    expected += 1;
    if (frame.seq % 500 === 0) await new Promise((resolve) => setTimeout(resolve, 5));
  }
  expect(expected).toBe(count + 1);
});

it.each([
  [4404, 'not_found'],
  [4410, 'gone'],
  [4401, 'unauthenticated'],
])('does not come back after close code %i', async (code, expected) => {
  const client = await serve((socket) => {
    socket.close(code, 'because');
  });
  await expect(collect(client.runs.logs('run_1'))).rejects.toMatchObject({ code: expected, message: 'because' });
  expect(visits).toHaveLength(1);
});

it('understands a refusal before the upgrade', async () => {
  const client = await serve(() => undefined);
  await expect(collect(client.runs.logs('run_2'))).rejects.toMatchObject({ code: 'not_found', status: 404, requestId: 'req_2' });
});

it('gives up when nobody answers', async () => {
  const client = await serve((socket) => {
    socket.terminate();
  });
  await expect(collect(client.runs.logs('run_1', { attempts: 2 }))).rejects.toMatchObject({ code: 'unavailable' });
});

it('refuses what is no frame', async () => {
  const client = await serve((socket) => {
    socket.send('{"seq":"one"}');
  });
  await expect(collect(client.runs.logs('run_1'))).rejects.toMatchObject({ code: 'protocol_violation' });
});

it('stops with its signal, while it waits and before it begins', async () => {
  const client = await serve((socket) => {
    send(socket, output(1));
  });
  await expect(collect(client.runs.logs('run_1', { signal: AbortSignal.timeout(50) }))).rejects.toMatchObject({ name: 'TimeoutError' });
  await expect(collect(client.runs.logs('run_1', { signal: AbortSignal.abort(new Error('no')) }))).rejects.toThrow('no');
});

it('turns answers into coded errors, and silence into unavailable', async () => {
  const client = await serve(() => undefined);
  await expect(client.runs.get('run_1')).rejects.toMatchObject({ name: 'SandbarApiError', code: 'not_found', requestId: 'req_1', status: 404 });
  await expect(new SandbarClient({ url: 'http://127.0.0.1:1', apiKey: 'x' }).me()).rejects.toMatchObject({ code: 'unavailable', status: 0 });
});
