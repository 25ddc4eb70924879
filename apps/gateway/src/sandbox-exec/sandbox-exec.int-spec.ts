import { once } from 'node:events';
import { WebSocket } from 'ws';
import type { ErrorBody, ProcessExit, ProcessOutput, SandboxExecResult, SandboxExecView, TicketView } from '#contracts';
import { startDockerFixture, type DockerFixture } from '../protocols/docker/docker-fixture.contract.js';

type Frame = ProcessOutput | ProcessExit;

interface Heard {
  readonly texts: { readonly type: string; readonly [name: string]: unknown }[];
  readonly output: { readonly stream: number; readonly seq: number; readonly text: string }[];
  readonly code: number;
}

describe('execs of sandboxes', () => {
  let fixture: DockerFixture;
  let stranger: string;
  const call = <T>(method: string, path: string, body?: unknown, headers: Record<string, string> = {}) => fixture.gateway.call<T>(fixture.key, method, path, body, headers);
  const run = <T = SandboxExecResult>(body: object, query = '?wait=true', headers: Record<string, string> = {}) => call<T>('POST', `/v1/sandboxes/box/exec${query}`, body, headers);

  beforeAll(async () => {
    fixture = await startDockerFixture();
    await fixture.docker('run', '-d', '--name', 'box', 'busybox', 'sleep');
    stranger = (await fixture.gateway.tenant()).key;
  }, 60_000);
  afterAll(() => fixture.stop(), 20_000);

  const connect = (path: string, key: string | undefined = fixture.key): WebSocket => new WebSocket(fixture.gateway.url.replace('http', 'ws') + path, key === '' ? {} : { headers: { authorization: `Bearer ${key}` } });

  async function hear(socket: WebSocket): Promise<Heard> {
    const heard: Heard = { texts: [], output: [], code: 0 };
    socket.on('message', (data: Buffer, binary) => {
      if (binary) heard.output.push({ stream: data.readUInt8(0), seq: Number(data.readBigUInt64BE(1)), text: data.subarray(9).toString() });
      else heard.texts.push(JSON.parse(data.toString()) as Heard['texts'][number]);
    });
    const [code] = (await once(socket, 'close')) as [number];
    return { ...heard, code };
  }

  async function refused(path: string, key?: string): Promise<{ status: number; body: ErrorBody }> {
    const socket = connect(path, key);
    socket.on('error', () => undefined);
    const [, response] = (await once(socket, 'unexpected-response')) as [unknown, NodeJS.ReadableStream & { statusCode: number }];
    let text = '';
    for await (const chunk of response) text += String(chunk);
    socket.terminate();
    return { status: response.statusCode, body: JSON.parse(text) as ErrorBody };
  }

  const lines = (body: string): Frame[] => body.trim().split('\n').map((line) => JSON.parse(line) as Frame);

  it('answers with the result when asked to wait', async () => {
    const answer = await run({ command: ['echo', 'hello'], env: { A: '1' }, workingDir: '/tmp', user: 'root' });
    expect(answer).toMatchObject({ status: 200, body: { state: 'ended', command: ['echo', 'hello'], exitCode: 0, signal: null, timedOut: false, stdout: 'hello\n', stderr: '', stdoutTruncated: false, encoding: 'utf8', workingDir: '/tmp', user: 'root' } });
    expect(answer.headers.get('location')).toBe(`/v1/sandboxes/${answer.body.sandboxId}/exec/${answer.body.id}`);
    expect(fixture.host.processes.find({ id: answer.body.id }).view.request.env).toEqual(['A=1']);
    expect((await run({ command: ['exit', '3'] })).body).toMatchObject({ exitCode: 3 });
    expect((await run({ command: ['cat'], stdin: 'AP8=', stdinEncoding: 'base64' })).body).toMatchObject({ stdout: 'AP8=', encoding: 'base64' });
    expect((await run({ command: 'a line' })).body.command).toEqual(['/bin/sh', '-c', 'a line']);
  });

  it('cuts a long output in a result, and says so', async () => {
    const { body } = await run({ command: ['flood'] });
    expect({ length: body.stdout.length, truncated: body.stdoutTruncated, stderr: body.stderrTruncated }).toEqual({ length: 1024 * 1024, truncated: true, stderr: false });
  });

  it('goes on behind an answer that came too early', async () => {
    const early = await run({ command: ['sleep'] }, '?wait=true&waitTimeoutMs=30');
    expect(early).toMatchObject({ status: 202, body: { state: 'running', exitCode: null } });
    expect('stdout' in early.body).toBe(false);
    expect((await call('POST', `/v1/sandboxes/box/exec/${early.body.id}/signal`, { signal: 'KILL' })).status).toBe(204);
    expect((await call<SandboxExecView>('GET', `/v1/sandboxes/box/exec/${early.body.id}`)).body).toMatchObject({ state: 'ended', exitCode: null, signal: 'SIGKILL' });
  });

  it('gives the first exec to a repeated call, by its name and by a key', async () => {
    const first = await run<SandboxExecView>({ command: ['cat'], id: 'editor', stdinOpen: true }, '');
    expect(first).toMatchObject({ status: 202, body: { name: 'editor', state: 'running', stdinOpen: true } });
    const again = await run<SandboxExecView>({ command: ['cat'], id: 'editor', stdin: 'not again', stdinOpen: true }, '');
    expect(again.body.id).toBe(first.body.id);
    expect((await call<SandboxExecView>('GET', '/v1/sandboxes/box/exec/editor')).body.id).toBe(first.body.id);
    expect((await call('POST', '/v1/sandboxes/box/exec/editor/stdin', { data: 'typed', eof: true })).status).toBe(204);
    const waited = await run({ command: ['cat'], id: 'editor' });
    expect(waited.body).toMatchObject({ id: first.body.id, stdout: 'typed', exitCode: 0 });
    expect((await call<ErrorBody>('POST', '/v1/sandboxes/box/exec/editor/stdin', { data: 'x' }))).toMatchObject({ status: 409 });
    const keyed = await Promise.all([1, 2].map(() => run({ command: ['echo', 'once'] }, '?wait=true', { 'idempotency-key': 'k1' })));
    expect(new Set(keyed.map(({ body }) => body.id)).size).toBe(1);
    expect(keyed.map(({ body }) => body.stdout)).toEqual(['once\n', 'once\n']);
    const { body } = await call<{ items: SandboxExecView[] }>('GET', '/v1/sandboxes/box/exec');
    expect(body.items.filter(({ name }) => name === 'editor')).toHaveLength(1);
  });

  it('feeds one that nobody waits for', async () => {
    const { body } = await run<SandboxExecView>({ command: ['cat'], stdin: 'fed' }, '');
    const { body: text } = await call<string>('GET', `/v1/sandboxes/box/exec/${body.id}/output`);
    expect(lines(text)).toMatchObject([{ type: 'output', seq: 1, stream: 'stdout', data: 'fed', encoding: 'utf8' }, { type: 'exit', exitCode: 0, signal: null }]);
    expect(lines((await call<string>('GET', `/v1/sandboxes/box/exec/${body.id}/output?after=1`)).body)).toEqual([{ type: 'exit', exitCode: 0, signal: null }]);
  });

  it('says on output what is not text as base64', async () => {
    const { body } = await run({ command: ['cat'], stdin: 'gP8=', stdinEncoding: 'base64' });
    expect(lines((await call<string>('GET', `/v1/sandboxes/box/exec/${body.id}/output`)).body)[0]).toMatchObject({ data: 'gP8=', encoding: 'base64' });
  });

  it('attaches by WebSocket: output with its number, input, size, signals, one exit', async () => {
    const { body } = await run<SandboxExecView>({ command: ['cat'], stdinOpen: true, tty: true, columns: 90, rows: 20 }, '');
    const socket = connect(`/v1/sandboxes/box/exec/${body.id}/attach`);
    const heard = hear(socket);
    await once(socket, 'open');
    const { process } = fixture.host.processes.find({ id: body.id });
    socket.send(Buffer.from('ls\n'));
    socket.send(JSON.stringify({ type: 'resize', columns: 132, rows: 43 }));
    socket.send('nonsense');
    socket.send(JSON.stringify({ type: 'eof' }));
    const { texts, output, code } = await heard;
    expect(output).toEqual([{ stream: 1, seq: 1, text: 'ls\n' }]);
    expect(texts).toEqual([{ type: 'error', error: { code: 'invalid_argument', message: expect.any(String) as string } }, { type: 'exit', exitCode: 0, signal: null }]);
    expect(code).toBe(1000);
    expect(process.sizes).toEqual([{ columns: 90, rows: 20 }, { columns: 132, rows: 43 }]);
    // Who comes back later has what is missing, and the end.
    expect(await hear(connect(`/v1/sandboxes/box/exec/${body.id}/attach?after=0`))).toMatchObject({ output: [{ seq: 1 }], texts: [{ type: 'exit' }], code: 1000 });
    expect(await hear(connect(`/v1/sandboxes/box/exec/${body.id}/attach?after=1`))).toMatchObject({ output: [], texts: [{ type: 'exit' }], code: 1000 });
  });

  it('opens a terminal in one call', async () => {
    const { body: ticket } = await call<TicketView>('POST', '/v1/tickets', {});
    const socket = connect(`/v1/sandboxes/box/terminal?command=cat&command=-&columns=100&rows=30&env=A=b&ticket=${ticket.ticket}`, '');
    const heard = hear(socket);
    await once(socket, 'open');
    socket.send(Buffer.from('keys'));
    socket.send(JSON.stringify({ type: 'eof' }));
    const { texts, output, code } = await heard;
    expect({ output, code }).toEqual({ output: [{ stream: 1, seq: 1, text: 'keys' }], code: 1000 });
    expect(texts.map(({ type }) => type)).toEqual(['started', 'exit']);
    const { view, process } = fixture.host.processes.find({ id: String(texts[0]?.['id']) });
    expect(view.request).toMatchObject({ argv: ['cat', '-'], env: ['TERM=xterm-256color', 'A=b'], tty: true });
    expect(process.sizes).toEqual([{ columns: 100, rows: 30 }]);
  });

  it('leaves a program running whose terminal was closed', async () => {
    const socket = connect('/v1/sandboxes/box/terminal?command=sleep&command=1');
    const heard = hear(socket);
    await once(socket, 'open');
    socket.send(JSON.stringify({ type: 'signal', signal: 'SIGKILL' }));
    expect(await heard).toMatchObject({ texts: [{ type: 'started' }, { type: 'exit', exitCode: 137 }] });
    const closed = connect('/v1/sandboxes/box/terminal?command=sleep&command=2');
    const [first] = (await once(closed, 'message')) as [Buffer];
    const { id } = JSON.parse(first.toString()) as { id: string };
    closed.close();
    await once(closed, 'close');
    expect(fixture.host.processes.find({ id }).view.state).toBe('running');
  });

  it('keeps the log of a main program, over HTTP and WebSocket', async () => {
    await fixture.docker('run', '-d', '-i', '--name', 'talker', 'busybox', 'cat');
    const main = fixture.host.processes.main('talker');
    main.write('stdout', 'one');
    main.write('stderr', 'two');
    expect(lines((await call<string>('GET', '/v1/sandboxes/talker/logs')).body)).toMatchObject([{ seq: 1, data: 'one', stream: 'stdout' }, { seq: 2, data: 'two', stream: 'stderr' }]);
    expect(lines((await call<string>('GET', '/v1/sandboxes/talker/logs?stdout=false')).body)).toMatchObject([{ seq: 2 }]);
    const socket = connect('/v1/sandboxes/talker/logs?after=1');
    const heard = hear(socket);
    await once(socket, 'open');
    main.write('stdout', 'three');
    main.end(5);
    expect(await heard).toMatchObject({ code: 1000, texts: [{ type: 'output', seq: 2 }, { type: 'output', seq: 3, data: 'three' }, { type: 'exit', exitCode: 5 }] });
  });

  it('forwards a port', async () => {
    const socket = connect('/v1/sandboxes/box/ports/7');
    await once(socket, 'open');
    const answer = once(socket, 'message');
    socket.send(Buffer.from('there and back'));
    expect(String(((await answer) as [Buffer])[0])).toBe('there and back');
    socket.close();
    expect(await refused('/v1/sandboxes/box/ports/8')).toMatchObject({ status: 409, body: { error: { code: 'failed_precondition', message: 'nothing listens on port 8 of the sandbox' } } });
    for (const port of ['0', '65536', 'x']) expect(await refused(`/v1/sandboxes/box/ports/${port}`)).toMatchObject({ status: 400 });
    expect(await refused('/v1/sandboxes/nosuch/ports/7')).toMatchObject({ status: 404 });
    expect(await refused('/v1/sandboxes/box/ports/7', stranger)).toMatchObject({ status: 404 });
    expect(await refused('/v1/sandboxes/box/ports/x', '')).toMatchObject({ status: 401 });
  });

  it('refuses what is wrong, in the words of sandboxes', async () => {
    for (const body of [{}, { command: [] }, { command: '' }, { command: ['a'], shell: true }, { command: ['a\0'] }, { command: ['a'], columns: 80 }, { command: ['a'], timeoutMs: 0 }, { command: ['a'], id: '../x' }, { command: ['a'], stdin: '%', stdinEncoding: 'base64' }]) {
      expect(await run<ErrorBody>(body)).toMatchObject({ status: 400, body: { error: { code: 'invalid_argument' } } });
    }
    expect(await run<ErrorBody>({ command: ['missing'] })).toMatchObject({ status: 400, body: { error: { code: 'invalid_argument', message: 'the command cannot be executed: exec: "missing": executable file not found in $PATH', details: { exitCode: 127 } } } });
    expect(await call<ErrorBody>('POST', '/v1/sandboxes/nosuch/exec', { command: ['a'] })).toMatchObject({ status: 404, body: { error: { message: 'no such sandbox: nosuch' } } });
    await fixture.docker('create', '--name', 'idle', 'busybox', 'sleep');
    expect(await call<ErrorBody>('POST', '/v1/sandboxes/idle/exec', { command: ['a'] })).toMatchObject({ status: 409, body: { error: { message: expect.stringMatching(/^sandbox [0-9a-f]{64} is not running$/) as string } } });
    expect(await call<ErrorBody>('GET', '/v1/sandboxes/box/exec/nosuch')).toMatchObject({ status: 404 });
    const { body } = await run<SandboxExecView>({ command: ['sleep'] }, '');
    for (const [path, given] of [['resize', { columns: 0, rows: 1 }], ['resize', { columns: 65_536, rows: 1 }], ['signal', { signal: 'not a signal' }], ['stdin', { data: '%', encoding: 'base64' }]] as const) {
      expect(await call<ErrorBody>('POST', `/v1/sandboxes/box/exec/${body.id}/${path}`, given)).toMatchObject({ status: 400 });
    }
    expect(await refused('/v1/sandboxes/nosuch/terminal')).toMatchObject({ status: 404, body: { error: { message: 'no such sandbox: nosuch' } } });
    expect(await refused('/v1/sandboxes/box/terminal?command=missing&command=x')).toMatchObject({ status: 400, body: { error: { message: expect.stringContaining('executable file not found') as string } } });
    for (const query of ['columns=0', 'rows=65536', 'env=novalue', 'nosuch=1']) expect(await refused(`/v1/sandboxes/box/terminal?${query}`)).toMatchObject({ status: 400 });
  });

  it("asks who is calling first, and shows no other tenant's execs", async () => {
    const { body } = await run<SandboxExecView>({ command: ['sleep'] }, '');
    for (const path of ['/v1/sandboxes/box/terminal?nosuch=1', `/v1/sandboxes/box/exec/${body.id}/attach`, '/v1/sandboxes/box/logs']) {
      expect(await refused(path, '')).toMatchObject({ status: 401 });
      expect(await refused(path, 'sbk_wrong')).toMatchObject({ status: 401 });
    }
    const reader = (await fixture.gateway.tenant({}, ['host:read'])).key;
    expect(await refused('/v1/sandboxes/box/terminal', reader)).toMatchObject({ status: 403 });
    for (const path of ['terminal', `exec/${body.id}/attach`, 'logs']) expect(await refused(`/v1/sandboxes/box/${path}`, stranger)).toMatchObject({ status: 404 });
    for (const [method, path, given] of [['GET', 'exec', undefined], ['GET', `exec/${body.id}`, undefined], ['GET', `exec/${body.id}/output`, undefined], ['POST', `exec/${body.id}/signal`, {}], ['POST', `exec/${body.id}/stdin`, {}], ['GET', 'logs', undefined], ['POST', 'exec', { command: ['a'] }]] as const) {
      expect((await fixture.gateway.call(stranger, method, `/v1/sandboxes/box/${path}`, given)).status).toBe(404);
    }
    // Nor by a sandbox of one's own.
    const other = await fixture.docker('run', '-d', '--name', 'second', 'busybox', 'sleep');
    expect(other.code).toBe(0);
    expect((await call('GET', `/v1/sandboxes/second/exec/${body.id}`)).status).toBe(404);
  });
});
