import { createConnection } from 'node:net';
import type { ErrorBody } from '#contracts';
import { errorBodySchema } from '#contracts';
import { newId } from '#kernel';
import { startFixture, type Fixture } from '../../testing/gateway-fixture.contract.js';

const good = { runtime: 'python', code: 'print(1)' };
const MiB = 1024 * 1024;

describe('bad input', () => {
  let gateway: Fixture;
  let key: string;

  beforeAll(async () => {
    gateway = await startFixture({ settings: { requestTimeoutMs: 2_000 } });
    await gateway.node();
    ({ key } = await gateway.tenant({ memoryBytes: 512 * MiB }));
  }, 60_000);
  afterAll(() => gateway.stop());
  // Whatever came before, the service goes on.
  afterEach(async () => {
    expect((await gateway.call(key, 'POST', '/v1/runs?wait=true', good)).status).toBe(200);
  });

  const lone = JSON.stringify({ runtime: 'python', code: '\\ud800' }).replace('\\\\', '\\');
  it.each<[string, unknown, number, string, string | undefined]>([
    ['an unknown runtime', { ...good, runtime: 'cobol' }, 400, 'invalid_argument', 'runtime'],
    ['no code', { runtime: 'python' }, 400, 'invalid_argument', 'code'],
    ['no runtime', { code: 'x' }, 400, 'invalid_argument', 'runtime'],
    ['a path that leaves the folder', { runtime: 'python', files: { '../x': 'y' } }, 400, 'invalid_argument', 'files.../x'],
    ['an absolute path', { runtime: 'python', files: { '/etc/passwd': 'y' } }, 400, 'invalid_argument', 'files./etc/passwd'],
    ['a NUL in a path', { runtime: 'python', files: { 'a\0b': 'y' } }, 400, 'invalid_argument', 'files.a\0b'],
    ['invalid base64', { runtime: 'python', files: { a: { content: '@@', encoding: 'base64' } } }, 400, 'invalid_argument', undefined],
    ['base64 stdin that is none', { ...good, stdin: '=', stdinEncoding: 'base64' }, 400, 'invalid_argument', 'stdin'],
    ['a lone surrogate', lone, 400, 'invalid_argument', 'code'],
    ['a negative limit', { ...good, limits: { wallTimeMs: -1 } }, 400, 'invalid_argument', 'limits.wallTimeMs'],
    ['an excessive limit', { ...good, limits: { memoryBytes: 1e15 } }, 400, 'invalid_argument', 'limits.memoryBytes'],
    ["more than the tenant's maximum", { ...good, limits: { memoryBytes: 600 * MiB } }, 400, 'invalid_argument', 'limits.memoryBytes'],
    ['a limit that is no integer', { ...good, limits: { pids: 1.5 } }, 400, 'invalid_argument', 'limits.pids'],
    ['an unknown field', { ...good, privileged: true }, 400, 'invalid_argument', ''],
    ['an unknown limit', { ...good, limits: { gpus: 1 } }, 400, 'invalid_argument', 'limits'],
    ['a NUL in an argument', { ...good, args: ['\0'] }, 400, 'invalid_argument', 'args.0'],
    ['a network', { ...good, network: 'host' }, 400, 'invalid_argument', 'network'],
    ['malformed JSON', '{"runtime":', 400, 'invalid_argument', undefined],
    ['__proto__', '{"runtime":"python","code":"x","__proto__":{"user":"root"}}', 400, 'invalid_argument', undefined],
    ['a list', [], 400, 'invalid_argument', ''],
    ['null', 'null', 400, 'invalid_argument', ''],
    ['an empty body', '', 400, 'invalid_argument', ''],
    ['bytes that are not UTF-8', Buffer.from([...Buffer.from('{"runtime":"python","code":"'), 0xff, 0xfe, ...Buffer.from('"}')]), 400, 'invalid_argument', undefined],
    ['12 MB of source', { ...good, code: 'x'.repeat(12 * MiB) }, 400, 'invalid_argument', 'files'],
    ['a body of 30 MB', { ...good, code: 'x'.repeat(30 * MiB) }, 413, 'payload_too_large', undefined],
  ])('%s', async (_name, body, status, code, path) => {
    const answer = await gateway.call<ErrorBody>(key, 'POST', '/v1/runs', body);
    expect({ status: answer.status, code: answer.body.error.code }).toEqual({ status, code });
    expect(errorBodySchema.safeParse(answer.body).success).toBe(true);
    expect(answer.headers.get('x-request-id')).toBe(answer.body.error.requestId);
    if (path !== undefined) expect((answer.body.error.details['issues'] as { path: string }[]).map((issue) => issue.path)).toContain(path);
  });

  it.each<[string, string, string, Record<string, string>, number, string]>([
    ['an unknown route', 'GET', '/v2/nothing', {}, 404, 'not_found'],
    ['a wrong method', 'PUT', '/v1/runs', {}, 405, 'unsupported'],
    ['another content type', 'POST', '/v1/runs', { 'content-type': 'text/plain' }, 415, 'unsupported'],
    ['a form', 'POST', '/v1/runs', { 'content-type': 'application/x-www-form-urlencoded' }, 415, 'unsupported'],
    ['an unknown run', 'GET', `/v1/runs/${newId('run')}`, {}, 404, 'not_found'],
    ['an id that is none', 'POST', '/v1/runs/1/cancel', {}, 404, 'not_found'],
    ['a target that is not decodable', 'GET', '/v1/runs/%zz', {}, 400, 'invalid_argument'],
    ['an unknown query', 'GET', '/v1/runs?statex=queued', {}, 400, 'invalid_argument'],
    ['a cursor that is none', 'GET', '/v1/runs?cursor=abc', {}, 400, 'invalid_argument'],
    ['logs after a negative number', 'GET', `/v1/runs/${newId('run')}/logs?after=-1`, {}, 400, 'invalid_argument'],
  ])('%s', async (_name, method, path, headers, status, code) => {
    const answer = await gateway.call<ErrorBody>(key, method, path, method === 'GET' ? undefined : JSON.stringify(good), headers);
    expect({ status: answer.status, code: answer.body.error.code }).toEqual({ status, code });
    expect(errorBodySchema.safeParse(answer.body).success).toBe(true);
    if (status === 405) expect(answer.headers.get('allow')).toContain('POST');
  });

  /** Says it raw, as no client library would. */
  function say(text: string): Promise<string> {
    return new Promise((resolve, reject) => {
      const socket = createConnection(Number(new URL(gateway.url).port), '127.0.0.1', () => socket.write(text));
      const chunks: Buffer[] = [];
      socket.on('data', (chunk) => chunks.push(chunk));
      socket.on('error', reject);
      socket.on('close', () => { resolve(Buffer.concat(chunks).toString()); });
    });
  }

  it('a body that never ends', async () => {
    const began = Date.now();
    const answer = await say(`POST /v1/runs HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${key}\r\ncontent-type: application/json\r\ncontent-length: 1000\r\n\r\n{"runtime":`);
    expect(answer).toMatch(/^HTTP\/1\.1 408 /);
    expect(JSON.parse(answer.slice(answer.indexOf('\r\n\r\n'))).error.code).toBe('deadline_exceeded');
    expect(Date.now() - began).toBeLessThan(6_000);
  }, 15_000);

  it('a chunked body that grows for ever', async () => {
    const text = await new Promise<string>((resolve) => {
      const socket = createConnection(Number(new URL(gateway.url).port), '127.0.0.1');
      socket.write(`POST /v1/runs HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${key}\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n`);
      const chunk = `${MiB.toString(16)}\r\n${' '.repeat(MiB)}\r\n`;
      let open = true;
      const more = (error?: Error | null): void => { if (open && error == null) socket.write(chunk, more); };
      more();
      let got = '';
      socket.on('data', (data: Buffer) => { got += data.toString(); });
      socket.on('error', () => undefined);
      socket.on('close', () => { open = false; resolve(got); });
    });
    expect(text).toMatch(/^HTTP\/1\.1 4(13|08) /);
  }, 15_000);

  it('something that is not HTTP', async () => {
    const answer = await say('\x16\x03\x01 hello\r\n\r\n');
    expect(answer).toMatch(/^HTTP\/1\.1 400 /);
    expect(errorBodySchema.safeParse(JSON.parse(answer.slice(answer.indexOf('\r\n\r\n')))).success).toBe(true);
  });

  it('headers beyond a mebibyte', async () => {
    const answer = await say(`GET / HTTP/1.1\r\nhost: x\r\nx-big: ${'a'.repeat(MiB + 1024)}\r\n\r\n`);
    expect(answer).toMatch(/^HTTP\/1\.1 431 /);
  });
});
