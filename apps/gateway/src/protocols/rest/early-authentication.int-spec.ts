import { createConnection } from 'node:net';
import type { ErrorBody } from '#contracts';
import { startFixture, type Fixture } from '../../testing/gateway-fixture.contract.js';

const MiB = 1024 * 1024;

describe('bodies and who sends them', () => {
  let gateway: Fixture;
  beforeAll(async () => {
    gateway = await startFixture();
    await gateway.node();
  }, 60_000);
  afterAll(() => gateway.stop());

  /** The answer to a request of which only the headers are sent, and 1 KiB of its body. */
  function answerBeforeBody(headers: string): Promise<string> {
    return new Promise((resolve, reject) => {
      const socket = createConnection(Number(new URL(gateway.url).port), '127.0.0.1');
      const timer = setTimeout(() => { socket.destroy(); resolve('no answer'); }, 1_500);
      socket.write(`POST /v1/runs HTTP/1.1\r\nhost: x\r\n${headers}content-type: application/json\r\ncontent-length: ${8 * MiB}\r\n\r\n${' '.repeat(1024)}`);
      socket.once('data', (data: Buffer) => {
        clearTimeout(timer);
        socket.destroy();
        resolve(data.toString());
      });
      socket.on('error', reject);
    });
  }

  it.each([['no key', ''], ['a wrong key', `authorization: Bearer sbk_${'x'.repeat(43)}\r\n`]])('refuses %s before it reads the body', async (_name, header) => {
    const answer = await answerBeforeBody(header);
    expect(answer).toMatch(/^HTTP\/1\.1 401 /);
    expect(answer.toLowerCase()).toContain('www-authenticate: bearer realm="sandbar"');
    expect((JSON.parse(answer.slice(answer.indexOf('\r\n\r\n'))) as ErrorBody).error.code).toBe('unauthenticated');
  });

  it('counts a request against the rate once, and refuses one beyond it before it reads the body', async () => {
    const { key } = await gateway.tenant({ requestsPerSecond: 0.2, requestBurst: 2 });
    expect((await gateway.call(key, 'POST', '/v1/runs', { runtime: 'python', code: '1' })).status).toBe(202);
    expect((await gateway.call(key, 'POST', '/v1/runs', { runtime: 'python', code: '1' })).status).toBe(202);
    expect(await answerBeforeBody(`authorization: Bearer ${key}\r\n`)).toMatch(/^HTTP\/1\.1 429 /);
  });

  it('still says 404 and 405 to those without a key, and lets a small body of a wrong key be answered with 401', async () => {
    expect((await gateway.call(undefined, 'POST', '/v2/nothing', {})).status).toBe(404);
    expect((await gateway.call(undefined, 'PUT', '/v1/runs', {})).status).toBe(405);
    expect((await gateway.call(undefined, 'POST', '/v1/runs', '{"broken')).status).toBe(401);
  });

  it('says 413 to who sends all of a body that is too large, and goes on with the connection', async () => {
    const { key } = await gateway.tenant();
    const text = await new Promise<string>((resolve, reject) => {
      const socket = createConnection(Number(new URL(gateway.url).port), '127.0.0.1');
      let heard = '';
      socket.on('data', (data: Buffer) => {
        heard += data.toString();
        if (heard.includes('"status":"ok"')) socket.destroy();
      });
      socket.on('error', reject);
      socket.on('close', () => { resolve(heard); });
      socket.write(`POST /v1/runs HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${key}\r\ncontent-type: application/json\r\ncontent-length: ${30 * MiB}\r\n\r\n`);
      let left = 30;
      const more = (): void => {
        left -= 1;
        socket.write(' '.repeat(MiB), () => setTimeout(left > 0 ? more : next, 2));
      };
      const next = (): void => { socket.write('GET /health/live HTTP/1.1\r\nhost: x\r\n\r\n'); };
      more();
    });
    expect(text).toMatch(/^HTTP\/1\.1 413 .*"code":"payload_too_large".*HTTP\/1\.1 200 /s);
  });

  it('takes the work of a large body as several requests', async () => {
    const { key } = await gateway.tenant({ requestsPerSecond: 1, requestBurst: 20 });
    const large = { runtime: 'python', code: 'x'.repeat(6 * MiB) };
    expect((await gateway.call(key, 'POST', '/v1/runs', large)).status).toBe(202);
    const refused = await gateway.call<ErrorBody>(key, 'POST', '/v1/runs', large);
    expect({ status: refused.status, code: refused.body.error.code }).toEqual({ status: 429, code: 'rate_limited' });
    const { key: low } = await gateway.tenant({ requestsPerSecond: 0.5, requestBurst: 2 });
    expect((await gateway.call(low, 'POST', '/v1/runs', large)).status).toBe(202);
  });
});
