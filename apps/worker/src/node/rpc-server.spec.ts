import { chmodSync, statSync, writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { GuestAgent } from '#engine';
import { newId, silentLogger } from '#kernel';
import { ActiveRun, ActiveRuns } from '../runs/active-runs.js';
import { RpcServer } from './rpc-server.js';
import { runRoutes } from './run-routes.js';

const TOKEN = 'a'.repeat(40);

describe('node RPC', () => {
  const active = new ActiveRuns();
  const run = new ActiveRun(newId('run'), newId('tenant'), newId('request'), 1);
  const written: string[] = [];
  let folder: string;
  let socketPath: string;
  let server: RpcServer;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'rpc-'));
    socketPath = join(folder, 'node-rpc.sock');
    active.add(run);
    server = new RpcServer({ listen: { kind: 'unix', path: socketPath }, groupId: undefined, token: TOKEN, routes: runRoutes(active), logger: silentLogger });
    expect(await server.start()).toBe(`unix:${socketPath}`);
  });
  afterAll(async () => {
    await server.stop();
    await rm(folder, { recursive: true });
  });

  function call(method: string, path: string, body?: string, token = TOKEN): Promise<{ status: number; body: { error?: { code: string; requestId: string } } }> {
    return new Promise((resolve, reject) => {
      const headers = { 'x-request-id': 'req-1', ...(token === '' ? {} : { authorization: `Bearer ${token}` }) };
      const sent = request({ socketPath, method, path, headers, agent: false }, (response) => {
        let text = '';
        response.on('data', (chunk: Buffer) => (text += chunk.toString()));
        response.on('end', () => {
          resolve({ status: response.statusCode ?? 0, body: JSON.parse(text) as never });
        });
      });
      sent.on('error', reject);
      sent.end(body);
    });
  }

  it('lets only root at its socket, unless there is a group', () => {
    expect(statSync(socketPath).mode & 0o777).toBe(0o600);
  });

  it.each(['', 'b'.repeat(40), 'a'.repeat(39)])('refuses the token %p', async (token) => {
    expect(await call('POST', `/runs/${run.runId}/cancel`, '', token)).toMatchObject({ status: 401, body: { error: { code: 'unauthenticated', requestId: 'req-1' } } });
    expect(run.interruption).toBeUndefined();
  });

  it.each([
    ['GET', '/', undefined, 404, 'not_found'],
    ['GET', '/runs/x/cancel', undefined, 404, 'not_found'],
    ['POST', `/runs/${newId('run')}/cancel`, undefined, 404, 'not_found'],
    ['POST', '/runs/../cancel', undefined, 404, 'not_found'],
    ['POST', `/runs/${run.runId}/stdin`, '{', 400, 'invalid_argument'],
    ['POST', `/runs/${run.runId}/stdin`, '{"data":1}', 400, 'invalid_argument'],
    ['POST', `/runs/${run.runId}/stdin`, '{"data":"?","encoding":"base64"}', 400, 'invalid_argument'],
    ['POST', `/runs/${run.runId}/stdin`, '{"data":"","x":1}', 400, 'invalid_argument'],
    ['POST', `/runs/${run.runId}/stdin`, '{"data":""}', 409, 'failed_precondition'],
  ])('%s %s %s is %i %s', async (method, path, body, status, code) => {
    expect(await call(method, path, body)).toMatchObject({ status, body: { error: { code } } });
  });

  it('refuses a body that is too long, and goes on', async () => {
    const answer = await call('POST', `/runs/${run.runId}/stdin`, 'x'.repeat(8 << 20)).catch((error: unknown) => error);
    if (!(answer instanceof Error) && typeof answer === 'object') expect(answer).toMatchObject(Reflect.has(answer as object, 'status') ? { status: 413 } : { code: expect.stringMatching(/EPIPE|ECONNRESET/) });
    expect((await call('GET', '/')).status).toBe(404);
  });

  it('hands stdin on in order and answers when the agent took it', async () => {
    const gate = Promise.withResolvers<undefined>();
    const agent = {
      writeStdin: async (_id: number, offset: number, data: Uint8Array) => {
        await gate.promise;
        expect(offset).toBe(written.join('').length);
        written.push(Buffer.from(data).toString());
        return offset + data.length;
      },
      closeStdin: () => Promise.resolve(void written.push('eof')),
    } as unknown as GuestAgent;
    const stdin = run.openStdin(true, Buffer.from('first'));
    let answered = 0;
    const path = `/runs/${run.runId}/stdin`;
    const one = call('POST', path, '{"data":"second"}').then((answer) => ((answered += 1), answer));
    while (!Reflect.get(stdin, 'waiting')) await new Promise((done) => setTimeout(done, 5));
    void stdin.attach(agent, 2);
    await new Promise((done) => setTimeout(done, 30));
    expect([answered, written]).toEqual([0, []]);
    gate.resolve(undefined);
    expect((await one).status).toBe(200);
    expect((await call('POST', path, '{"data":"dGhpcmQ=","encoding":"base64","eof":true}')).status).toBe(200);
    expect(written).toEqual(['first', 'second', 'third', 'eof']);
    expect(await call('POST', path, '{"data":"late"}')).toMatchObject({ status: 409, body: { error: { code: 'failed_precondition' } } });
  });

  it('cancels', async () => {
    expect(await call('POST', `/runs/${run.runId}/cancel`)).toMatchObject({ status: 200 });
    run.interrupt('shut_down');
    expect(run.interruption).toBe('cancelled');
  });

  it('takes the place of a socket that a killed worker left, of nothing else', async () => {
    const other = new RpcServer({ listen: { kind: 'unix', path: socketPath }, groupId: process.getgid?.() ?? 0, token: TOKEN, routes: [], logger: silentLogger });
    await other.start();
    expect(statSync(socketPath).mode & 0o777).toBe(0o660);
    await other.stop();
    writeFileSync(socketPath, 'precious');
    chmodSync(socketPath, 0o600);
    await expect(other.start()).rejects.toMatchObject({ code: 'EADDRINUSE' });
  });
});
