import { request } from 'node:http';
import { startPlatform, type Platform } from '#testing';
import { ApiClient } from './api-client.js';
import { stopAndExpectNothingLeft } from './nothing-left.js';

const MiB = 1024 * 1024;

describe('bad input', () => {
  let platform: Platform;
  let api: ApiClient;

  beforeAll(async () => {
    platform = await startPlatform();
    api = new ApiClient(platform.url, platform.apiKey);
  }, 180_000);
  afterAll(async () => {
    expect(await api.run({ runtime: 'bash', code: 'echo still here' })).toMatchObject({ stdout: 'still here\n' });
    await stopAndExpectNothingLeft(platform);
  }, 60_000);

  const ok = { runtime: 'python', code: 'print(1)' };
  const refused: [name: string, body: unknown, status: number, code: string][] = [
    ['an unknown runtime', { ...ok, runtime: 'cobol-1959' }, 400, 'invalid_argument'],
    ['no code', { runtime: 'python' }, 400, 'invalid_argument'],
    ['no runtime', { code: 'print(1)' }, 400, 'invalid_argument'],
    ['an unknown field', { ...ok, privileged: true }, 400, 'invalid_argument'],
    ['an unknown limit', { ...ok, limits: { gpus: 8 } }, 400, 'invalid_argument'],
    ['a negative limit', { ...ok, limits: { memoryBytes: -1 } }, 400, 'invalid_argument'],
    ['an excessive limit', { ...ok, limits: { memoryBytes: 2 ** 50 } }, 400, 'invalid_argument'],
    ['a limit that is no whole number', { ...ok, limits: { pids: 1.5 } }, 400, 'invalid_argument'],
    ['a limit that is text', { ...ok, limits: { pids: '10' } }, 400, 'invalid_argument'],
    ['a path above the working folder', { runtime: 'bash', files: { '../x': 'y' } }, 400, 'invalid_argument'],
    ['an absolute path', { runtime: 'bash', files: { '/etc/passwd': 'y' } }, 400, 'invalid_argument'],
    ['a path with a hidden step up', { runtime: 'bash', files: { 'a/../../x': 'y' } }, 400, 'invalid_argument'],
    ['a path with a NUL byte', { runtime: 'bash', files: { 'a\u0000b': 'y' } }, 400, 'invalid_argument'],
    ['an argument with a NUL byte', { ...ok, args: ['a\u0000b'] }, 400, 'invalid_argument'],
    ['invalid base64', { runtime: 'bash', files: { 'main.sh': { content: 'no base64!', encoding: 'base64' } } }, 400, 'invalid_argument'],
    ['a lone surrogate', '{"runtime":"python","code":"\\ud800"}', 400, 'invalid_argument'],
    ['malformed JSON', '{"runtime":', 400, 'invalid_argument'],
    ['JSON that is no object', '[1]', 400, 'invalid_argument'],
    ['an empty body', '', 400, 'invalid_argument'],
    ['bytes that are no UTF-8', new Uint8Array([...Buffer.from('{"runtime":"python","code":"'), 0xff, 0xfe, ...Buffer.from('"}')]), 400, 'invalid_argument'],
    ['20 MB of source', { ...ok, code: 'x'.repeat(20 * MiB) }, 413, 'payload_too_large'],
    ['a body beyond the limit', { ...ok, code: 'x'.repeat(40 * MiB) }, 413, 'payload_too_large'],
    ['too many files', { runtime: 'bash', files: Object.fromEntries(Array.from({ length: 300 }, (_, n) => [`f${String(n)}`, ''])) }, 400, 'invalid_argument'],
    ['a prototype as a file name', '{"runtime":"bash","files":{"__proto__":"x"}}', 400, 'invalid_argument'],
  ];

  it.each(refused)('%s is refused', async (_name, body, status, code) => {
    const answer = await api.expectError('POST', '/v1/runs?wait=true', body, { 'content-type': 'application/json' });
    expect(answer).toMatchObject({ status, error: { code, message: expect.any(String), details: expect.any(Object), requestId: expect.stringMatching(/^req_/) } });
  }, 30_000);

  it('every sender of too much gets to read that it was too much', async () => {
    const body = JSON.stringify({ ...ok, code: 'x'.repeat(40 * MiB) });
    for (let attempt = 0; attempt < 15; attempt += 1) {
      expect(await api.expectError('POST', '/v1/runs', body, { 'content-type': 'application/json' })).toMatchObject({ status: 413 });
    }
  }, 60_000);

  it.each([
    ['GET', '/v1/runs/run_01234567890123456789012345'],
    ['GET', '/v1/runs/..%2f..%2fetc%2fpasswd'],
    ['GET', '/v1/runs/1'],
    ['POST', '/v1/runs/run_01234567890123456789012345/cancel'],
    ['GET', '/v1/runs/run_01234567890123456789012345/logs'],
    ['GET', '/v1/nothing-here'],
  ])('%s %s is not found', async (method, path) => {
    expect(await api.expectError(method, path)).toMatchObject({ status: 404, error: { code: 'not_found' } });
  });

  it.each([
    ['no key', undefined],
    ['a key that is none', 'hello'],
    ['a wrong key', `sbk_${'A'.repeat(43)}`],
  ])('%s is 401', async (_name, key) => {
    const answer = await new ApiClient(platform.url, key).expectError('GET', '/v1/runs');
    expect(answer).toMatchObject({ status: 401, error: { code: 'unauthenticated' } });
  });

  it('a revoked key stops working at once', async () => {
    const made = await api.call<{ id: string; key: string }>('POST', '/v1/keys', { name: 'short-lived' });
    expect(made.status).toBe(201);
    const other = api.withKey(made.body.key);
    expect((await other.call('GET', '/v1/runs')).status).toBe(200);
    expect((await api.call('DELETE', `/v1/keys/${made.body.id}`)).status).toBeLessThan(300);
    expect(await other.expectError('GET', '/v1/runs')).toMatchObject({ status: 401 });
  });

  it('a body that never ends is cut off, and others are served meanwhile', async () => {
    const { hostname, port } = new URL(platform.url);
    const never = request({ hostname, port, method: 'POST', path: '/v1/runs', headers: { authorization: `Bearer ${platform.apiKey}`, 'content-type': 'application/json', 'transfer-encoding': 'chunked' } });
    const ended = new Promise<number | 'cut'>((resolve) => {
      never.on('response', (answer) => {
        answer.resume();
        resolve(answer.statusCode ?? 0);
      });
      never.on('error', () => {
        resolve('cut');
      });
    });
    const drip = setInterval(() => never.write(' '), 200);
    expect(await api.run({ runtime: 'bash', code: 'echo meanwhile' })).toMatchObject({ stdout: 'meanwhile\n' });
    const outcome = await ended;
    clearInterval(drip);
    never.destroy();
    expect([408, 413, 'cut']).toContain(outcome);
  }, 90_000);

  it('a burst of garbage does not disturb a run', async () => {
    const garbage = Promise.all(Array.from({ length: 100 }, (_, n) => fetch(`${platform.url}/v1/runs`, { method: 'POST', headers: { authorization: `Bearer ${platform.apiKey}`, 'content-type': 'application/json' }, body: '{'.repeat(n * 50) }).then((answer) => answer.status)));
    expect(await api.run({ runtime: 'bash', code: 'echo fine' })).toMatchObject({ stdout: 'fine\n' });
    for (const status of await garbage) expect([400, 429]).toContain(status);
  }, 60_000);
});
