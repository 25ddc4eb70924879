import { createServer, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { LogFrame } from '#contracts';
import { SandbarClient } from './client.js';

const frame = (seq: number, data: string): LogFrame => ({ seq, type: 'output', step: 'run', stream: 'stdout', data, encoding: 'utf8', time: 1 });

describe('logsSoFar', () => {
  let server: Server;
  let asked = '';
  let answer: (response: ServerResponse) => void = () => undefined;
  let client: SandbarClient;
  beforeAll(async () => {
    server = createServer((request, response) => {
      asked = request.url ?? '';
      answer(response);
    });
    await new Promise<void>((resolve) => { server.listen(0, '127.0.0.1', () => { resolve(); }); });
    client = new SandbarClient({ url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, apiKey: 'sbk_x' });
  });
  afterAll(() => {
    server.closeAllConnections();
    server.close();
  });

  async function read(): Promise<LogFrame[]> {
    const frames: LogFrame[] = [];
    for await (const one of client.runs.logsSoFar('run_1', { after: 3 })) frames.push(one);
    return frames;
  }

  it('reads lines however they are cut, and does not follow', async () => {
    const bytes = Buffer.from([frame(4, 'é€🙂'), frame(5, 'x\ny')].map((one) => `${JSON.stringify(one)}\n`).join(''));
    answer = (response) => {
      for (const byte of bytes) response.write(Buffer.of(byte));
      response.end();
    };
    expect(await read()).toEqual([frame(4, 'é€🙂'), frame(5, 'x\ny')]);
    expect(asked).toBe('/v1/runs/run_1/logs?after=3&follow=false');
  });

  it('does not pass off a part for the whole', async () => {
    answer = (response) => {
      response.writeHead(200, { 'transfer-encoding': 'chunked' });
      response.write(`${JSON.stringify(frame(4, 'a'))}\n`, () => response.destroy());
    };
    await expect(read()).rejects.toMatchObject({ code: 'unavailable' });
    answer = (response) => { response.end('{"seq":'); };
    await expect(read()).rejects.toMatchObject({ code: 'unavailable' });
  });

  it('says why it was refused, and when it is no log', async () => {
    answer = (response) => response.writeHead(404).end(JSON.stringify({ error: { code: 'not_found', message: 'no such run', details: {}, requestId: 'req_1' } }));
    await expect(read()).rejects.toMatchObject({ code: 'not_found', requestId: 'req_1' });
    answer = (response) => { response.end('<html>\n'); };
    await expect(read()).rejects.toMatchObject({ code: 'protocol_violation' });
  });
});
