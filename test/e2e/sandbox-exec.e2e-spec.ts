import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { WebSocket } from 'ws';
import type { ProcessExit, ProcessOutput, SandboxExecResult, SandboxExecView } from '#contracts';
import { startPlatform, type DockerCli, type Platform } from '#testing';
import { stopAndExpectNothingLeft } from './nothing-left.js';

/** Execs, terminals, logs and ports of sandboxes by REST and WebSocket, on real ones. */
describe('execs of sandboxes', () => {
  let platform: Platform;
  let docker: DockerCli;

  beforeAll(async () => {
    platform = await startPlatform();
    docker = await platform.docker();
    await docker.ok('pull', '-q', 'busybox');
    await docker.ok('run', '-d', '--name', 'box', 'busybox', 'sleep', '3600');
  }, 120_000);
  afterAll(async () => {
    await docker.close();
    await stopAndExpectNothingLeft(platform);
  }, 60_000);

  async function call(method: string, path: string, body?: unknown): Promise<{ status: number; body: SandboxExecResult; text: string }> {
    const response = await fetch(platform.url + path, { method, headers: { authorization: `Bearer ${platform.apiKey}`, ...(body === undefined ? {} : { 'content-type': 'application/json' }) }, ...(body === undefined ? {} : { body: JSON.stringify(body) }) });
    const text = await response.text();
    return { status: response.status, text, body: (text.startsWith('{') && !text.includes('\n') ? JSON.parse(text) : undefined) as SandboxExecResult };
  }

  const run = (body: object, query = '?wait=true') => call('POST', `/v1/sandboxes/box/exec${query}`, body);
  const lines = (text: string): (ProcessOutput | ProcessExit)[] => text.trim().split('\n').map((line) => JSON.parse(line) as ProcessOutput | ProcessExit);

  class Client {
    readonly texts: { type: string; id?: string; exitCode?: number | null }[] = [];
    output = '';
    last = 0;
    readonly closed: Promise<number>;

    private constructor(readonly socket: WebSocket) {
      this.closed = new Promise((resolve) => { socket.once('close', resolve); });
      socket.on('error', () => undefined);
      socket.on('message', (data: Buffer, binary) => {
        if (!binary) this.texts.push(JSON.parse(data.toString()) as Client['texts'][number]);
        else {
          this.last = Number(data.readBigUInt64BE(1));
          this.output += data.subarray(9).toString();
        }
      });
    }

    static async open(path: string): Promise<Client> {
      const client = new Client(new WebSocket(platform.url.replace('http', 'ws') + path, { headers: { authorization: `Bearer ${platform.apiKey}` } }));
      await once(client.socket, 'open');
      return client;
    }

    async see(pattern: RegExp): Promise<void> {
      for (let tries = 0; !pattern.test(this.output); tries += 1) {
        if (tries > 500) throw new Error(`${String(pattern)} is not in ${JSON.stringify(this.output)}`);
        await sleep(20);
      }
      this.output = '';
    }
  }

  it('gives results: output, exit codes, signals, input, time limits', async () => {
    expect(await run({ command: 'echo out; echo err >&2; exit 3' })).toMatchObject({ status: 200, body: { stdout: 'out\n', stderr: 'err\n', exitCode: 3, signal: null, state: 'ended' } });
    expect((await run({ command: ['wc', '-c'], stdin: 'x'.repeat(900_000) })).body).toMatchObject({ stdout: '900000\n' });
    expect((await run({ command: 'kill -9 $$' })).body).toMatchObject({ exitCode: null, signal: 'SIGKILL', timedOut: false });
    expect((await run({ command: ['sleep', '60'], timeoutMs: 300 })).body).toMatchObject({ exitCode: null, signal: 'SIGKILL', timedOut: true });
    expect((await run({ command: 'pwd; echo $A; id -u', workingDir: '/tmp', env: { A: 'b c' }, user: '7' })).body.stdout).toBe('/tmp\nb c\n7\n');
    const large = (await run({ command: 'head -c 3000000 /dev/zero | tr "\\0" x' })).body;
    expect({ length: large.stdout.length, truncated: large.stdoutTruncated }).toEqual({ length: 1024 * 1024, truncated: true });
    expect(await run({ command: ['nosuch'] })).toMatchObject({ status: 400 });
  }, 60_000);

  it('runs in the background: stdin in pieces, output again and from any number on', async () => {
    const { body } = await run({ command: ['cat'], id: 'mine', stdinOpen: true }, '');
    for (const data of ['one\n', 'two\n']) expect((await call('POST', '/v1/sandboxes/box/exec/mine/stdin', { data })).status).toBe(204);
    expect((await call('POST', '/v1/sandboxes/box/exec/mine/stdin', { eof: true })).status).toBe(204);
    const all = lines((await call('GET', `/v1/sandboxes/box/exec/${body.id}/output`)).text);
    expect(all.at(-1)).toEqual({ type: 'exit', exitCode: 0, signal: null });
    expect(all.map((frame) => (frame.type === 'output' ? frame.data : '')).join('')).toBe('one\ntwo\n');
    const [first] = all as [ProcessOutput];
    const rest = lines((await call('GET', `/v1/sandboxes/box/exec/mine/output?after=${first.seq}`)).text);
    expect(rest).toEqual(all.slice(1));
    expect((JSON.parse((await call('GET', '/v1/sandboxes/box/exec')).text) as { items: SandboxExecView[] }).items.map(({ name }) => name)).toContain('mine');
  }, 60_000);

  it('is a terminal over WebSocket: shell, size, editor, exit code', async () => {
    const client = await Client.open('/v1/sandboxes/box/terminal?columns=101&rows=31');
    const type = (keys: string): void => { client.socket.send(Buffer.from(keys)); };
    await client.see(/# /);
    type('stty size; tty\n');
    await client.see(/31 101\r\n\/dev\/pts/);
    client.socket.send(JSON.stringify({ type: 'resize', columns: 120, rows: 40 }));
    type('stty size\n');
    await client.see(/40 120\r\n/);
    type('cat /etc/hostn\t\n');
    await client.see(/[0-9a-f]{12}\r\n/);
    type('vi /tmp/text\n');
    await client.see(/\/tmp\/text/);
    type('ihello\x1b');
    await sleep(500);
    type(':wq\n');
    await client.see(/# /);
    type('cat /tmp/text; exit 7\n');
    await client.see(/hello\r\n/);
    expect(await client.closed).toBe(1000);
    expect(client.texts.map(({ type: kind, exitCode }) => [kind, exitCode])).toEqual([['started', undefined], ['exit', 7]]);
  }, 60_000);

  it('goes on where a lost connection ended, also behind a restart of the worker', async () => {
    const client = await Client.open(`/v1/sandboxes/box/terminal?tty=0&command=${encodeURIComponent('i=0; while [ $i -lt 60 ]; do echo line $i; i=$((i+1)); sleep 0.1; done')}`);
    await client.see(/line 5\n/);
    const id = client.texts[0]?.id ?? '';
    client.socket.terminate();
    await client.closed;
    await platform.kill('worker');
    await platform.untilReady();
    let again: Client | undefined;
    for (let tries = 0; again === undefined; tries += 1) {
      again = await Client.open(`/v1/sandboxes/box/exec/${id}/attach?after=${client.last}`).catch(() => undefined);
      if (tries > 100) throw new Error('nobody is there');
      await sleep(100);
    }
    expect(await again.closed).toBe(1000);
    const numbers = [...again.output.matchAll(/line (\d+)\n/g)].map((match) => Number(match[1]));
    expect(numbers).toEqual(Array.from({ length: numbers.length }, (_, at) => 60 - numbers.length + at));
    expect(numbers.length).toBeGreaterThan(10);
    expect(again.texts.at(-1)).toEqual({ type: 'exit', exitCode: 0, signal: null });
  }, 90_000);

  it('reaches what listens on a loopback', async () => {
    await run({ command: ['sh', '-c', 'mkdir -p /www && echo served > /www/index.html && httpd -p 127.0.0.1:8080 -h /www'] });
    // Bytes as they come, in pieces of any size.
    const client = new WebSocket(`${platform.url.replace('http', 'ws')}/v1/sandboxes/box/ports/8080`, { headers: { authorization: `Bearer ${platform.apiKey}` } });
    const parts: Buffer[] = [];
    client.on('message', (data: Buffer) => parts.push(data));
    await once(client, 'open');
    const closed = once(client, 'close');
    client.send(Buffer.from('GET /index.html HTTP/1.0\r\n\r\n'));
    await closed;
    expect(Buffer.concat(parts).toString()).toMatch(/^HTTP\/1\.[01] 200 OK[^]*served\n$/);
    const refused = new WebSocket(`${platform.url.replace('http', 'ws')}/v1/sandboxes/box/ports/8081`, { headers: { authorization: `Bearer ${platform.apiKey}` } });
    refused.on('error', () => undefined);
    const [, response] = (await once(refused, 'unexpected-response')) as [unknown, { statusCode: number }];
    expect(response.statusCode).toBe(409);
    refused.terminate();
  }, 60_000);

  it('keeps the log of the main program', async () => {
    await docker.ok('run', '-d', '--name', 'talker', 'busybox', 'sh', '-c', 'echo one; echo two >&2; sleep 1; echo three');
    const client = new WebSocket(`${platform.url.replace('http', 'ws')}/v1/sandboxes/talker/logs?after=0`, { headers: { authorization: `Bearer ${platform.apiKey}` } });
    const frames: (ProcessOutput | ProcessExit)[] = [];
    client.on('message', (data: Buffer) => frames.push(JSON.parse(data.toString()) as ProcessOutput | ProcessExit));
    expect((await once(client, 'close'))[0]).toBe(1000);
    expect(frames.map((frame) => (frame.type === 'exit' ? frame.exitCode : `${frame.stream} ${frame.data}`))).toEqual(['stdout one\n', 'stderr two\n', 'stdout three\n', 0]);
    const kept = lines((await call('GET', '/v1/sandboxes/talker/logs')).text);
    expect(kept.filter(({ type }) => type === 'output')).toEqual(frames.slice(0, 3));
    await docker.ok('wait', 'talker');
    await docker.ok('rm', 'talker');
  }, 60_000);
});
