import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { WebSocket } from 'ws';
import type { CertificateView } from '#contracts';
import { newAuthorityBundle, TlsIdentity } from '../../tls/tls-identity.js';
import { startDockerFixture, type DockerFixture } from './docker-fixture.contract.js';

/** Hijacked streams, by the unmodified CLI and byte by byte. */
describe("Docker's streams of processes", () => {
  const identity = TlsIdentity.parse(newAuthorityBundle(Date.now()));
  let fixture: DockerFixture;
  let folder: string;
  let tlsEnv: Record<string, string>;
  const docker = (...args: string[]) => fixture.docker(...args);

  beforeAll(async () => {
    fixture = await startDockerFixture({ settings: { tls: { identity, names: ['localhost', '127.0.0.1'] } } });
    folder = mkdtempSync(join(tmpdir(), 'docker-streams-'));
    const { body } = await fixture.gateway.call<CertificateView>(fixture.key, 'POST', '/v1/me/certificate', {});
    for (const [file, text] of [['ca.pem', identity.authorityPem], ['cert.pem', body.certificate], ['key.pem', body.key ?? '']] as const) writeFileSync(join(folder, file), text);
    tlsEnv = { DOCKER_HOST: `tcp://127.0.0.1:${new URL(fixture.gateway.url).port}`, DOCKER_TLS_VERIFY: '1', DOCKER_CERT_PATH: folder, DOCKER_CUSTOM_HEADERS: '' };
    await docker('run', '-d', '--name', 'box', 'busybox', 'sleep');
  }, 60_000);
  afterAll(async () => {
    await fixture.stop();
    rmSync(folder, { recursive: true, force: true });
  });

  for (const [how, env] of [['HTTP', () => ({})], ['TLS', () => tlsEnv]] as const) {
    const cli = (args: readonly string[], input?: Buffer) => fixture.cli(args, { env: env(), ...(input === undefined ? {} : { input }) });

    it(`executes over ${how}: output, input and its end, exit codes`, async () => {
      expect(await cli(['exec', 'box', 'echo', 'hello', 'there'])).toEqual({ code: 0, out: 'hello there\n', err: '' });
      expect(await cli(['exec', '-i', 'box', 'cat'], Buffer.from('from stdin'))).toEqual({ code: 0, out: 'from stdin', err: '' });
      expect(await cli(['exec', 'box', 'exit', '42'])).toMatchObject({ code: 42 });
      expect(await cli(['exec', 'box', 'missing'])).toEqual({ code: 127, out: 'OCI runtime exec failed: exec failed: unable to start container process: exec: "missing": executable file not found in $PATH: unknown\r\n', err: '' });
      expect((await cli(['exec', 'box', 'flood'])).out.length).toBe(8 * 1024 * 1024);
      expect(await cli(['exec', 'nosuch', 'true'])).toMatchObject({ code: 1, err: 'Error response from daemon: No such container: nosuch\n' });
    }, 60_000);

    it(`runs in the foreground over ${how}`, async () => {
      expect(await cli(['run', '--rm', 'busybox', 'echo', 'in', 'front'])).toEqual({ code: 0, out: 'in front\n', err: '' });
      expect(await cli(['run', '-i', 'busybox', 'cat'], Buffer.from('piped'))).toEqual({ code: 0, out: 'piped', err: '' });
      expect(await cli(['run', 'busybox', 'exit', '7'])).toMatchObject({ code: 7 });
    }, 60_000);
  }

  it('executes in the background and shows it', async () => {
    expect(await docker('exec', '-d', 'box', 'echo', 'unheard')).toEqual({ code: 0, out: '', err: '' });
    const { view } = [...fixture.host.processes.execsById.values()].at(-1) ?? {};
    const { body } = await fixture.gateway.call(fixture.key, 'GET', `/v1.50/exec/${view?.id ?? ''}/json`);
    expect(body).toMatchObject({ ID: view?.id, ContainerID: view?.containerId, OpenStdin: false, OpenStdout: false, DetachKeys: '', ProcessConfig: { tty: false, entrypoint: 'echo', arguments: ['unheard'], privileged: false } });
    expect(Object.keys(body as object).sort()).toEqual(['CanRemove', 'ContainerID', 'DetachKeys', 'ExitCode', 'ID', 'OpenStderr', 'OpenStdin', 'OpenStdout', 'Pid', 'ProcessConfig', 'Running']);
  });

  /** A connection on which a request was sent. */
  async function raw(path: string, { body = '', headers = {} }: { readonly body?: string; readonly headers?: Record<string, string | undefined> } = {}): Promise<{ socket: Socket; heard: () => string }> {
    const { hostname, port } = new URL(fixture.gateway.url);
    const socket = connect({ host: hostname, port: Number(port), allowHalfOpen: true });
    const parts: Buffer[] = [];
    socket.on('data', (chunk: Buffer) => parts.push(chunk)).on('error', () => undefined);
    const lines = Object.entries({ host: 'x', authorization: `Bearer ${fixture.key}`, 'content-length': String(Buffer.byteLength(body)), ...headers } as Record<string, string | undefined>).flatMap(([name, value]) => (value === undefined ? [] : [`${name}: ${value}`]));
    socket.write(`POST ${path} HTTP/1.1\r\n${lines.join('\r\n')}\r\n\r\n${body}`);
    await once(socket, 'connect');
    return { socket, heard: () => Buffer.concat(parts).toString('latin1') };
  }

  async function until(what: () => boolean): Promise<void> {
    for (let tries = 0; !what(); tries += 1) {
      if (tries > 400) throw new Error('it did not come to that');
      await sleep(10);
    }
  }

  const upgrade = { connection: 'Upgrade', upgrade: 'tcp' };
  const start = '{"Detach":false,"Tty":false}';

  async function newExec(...argv: string[]): Promise<string> {
    const { body } = await fixture.gateway.call<{ Id: string }>(fixture.key, 'POST', '/v1.50/containers/box/exec', { AttachStdin: true, AttachStdout: true, AttachStderr: true, Cmd: argv });
    return body.Id;
  }

  it('takes the body by its length and what is behind it as input', async () => {
    const { socket, heard } = await raw(`/v1.50/exec/${await newExec('cat')}/start`, { body: `${start}at once`, headers: { ...upgrade, 'content-length': String(start.length) } });
    await until(() => heard().includes('at once'));
    socket.end(' and later');
    await once(socket, 'end');
    expect(heard()).toMatch(/^HTTP\/1\.1 101 UPGRADED\r\nContent-Type|^HTTP\/1\.1 101 UPGRADED\r\n/);
    expect(heard()).toMatch(/Content-Type: application\/vnd\.docker\.multiplexed-stream\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n/);
    expect(heard().split('\r\n\r\n')[1]).toBe('\x01\0\0\0\0\0\0\x07at once\x01\0\0\0\0\0\0\x0a and later');
  });

  it('waits for a body that comes in pieces', async () => {
    const id = await newExec('echo', 'x');
    const { socket, heard } = await raw(`/v1.40/exec/${id}/start`, { body: start.slice(0, 5), headers: { ...upgrade, 'content-length': String(start.length) } });
    await sleep(50);
    expect(heard()).toBe('');
    socket.write(start.slice(5));
    await once(socket, 'end');
    // Older clients know by themselves how a stream is framed.
    expect(heard()).toMatch(/application\/vnd\.docker\.raw-stream/);
    expect(heard()).toMatch(/\x01\0\0\0\0\0\0\x02x\n$/);
    socket.end();
  });

  it('serves who asks for no upgrade on the same connection', async () => {
    const { socket, heard } = await raw(`/v1.50/exec/${await newExec('echo', 'plain')}/start`, { body: start });
    await once(socket, 'end');
    expect(heard()).toMatch(/^HTTP\/1\.1 200 OK\r\n/);
    expect(heard()).toMatch(/content-type: application\/vnd\.docker\.raw-stream/i);
    expect(heard()).not.toMatch(/transfer-encoding/i);
    expect(heard().split('\r\n\r\n')[1]).toBe('\x01\0\0\0\0\0\0\x06plain\n');
    socket.end();
    const failed = await fixture.gateway.call<string>(fixture.key, 'POST', `/v1.50/exec/${await newExec('missing')}/start`, { Detach: false });
    expect(failed).toMatchObject({ status: 200, body: expect.stringContaining('executable file not found') as string });
  });

  it('takes the input of an attachment without upgrade from its body', async () => {
    await docker('run', '-d', '-i', '--name', 'plaincat', 'busybox', 'cat');
    const { socket, heard } = await raw('/v1.50/containers/plaincat/attach?stream=1&stdin=1&stdout=1', { headers: { 'content-length': undefined, 'transfer-encoding': 'chunked' } });
    socket.write('5\r\nhello\r\n');
    await until(() => heard().endsWith('\x01\0\0\0\0\0\0\x05hello'));
    socket.write('0\r\n\r\n');
    await once(socket, 'end');
    socket.end();
  });

  it('refuses before anything is a stream', async () => {
    const cases: readonly [string, { body?: string; headers?: Record<string, string> }, RegExp][] = [
      ['/v1.50/containers/box/attach?stream=1&stdout=1', { headers: { ...upgrade, authorization: 'Bearer sbk_no' } }, /^HTTP\/1\.1 401 [^]*"message":"a valid API key/],
      ['/v1.50/containers/nosuch/attach?stream=1', { headers: upgrade }, /^HTTP\/1\.1 404 [^]*\{"message":"No such container: nosuch"\}$/],
      ['/v1.99/containers/box/attach?stream=1', { headers: upgrade }, /^HTTP\/1\.1 400 [^]*client version 1\.99 is too new/],
      ['/v1.50/containers/box/attach?stream=1&detachKeys=ctrl-1', { headers: upgrade }, /^HTTP\/1\.1 400 [^]*Invalid detach keys \(ctrl-1\) provided/],
      ['/v1.50/exec/nosuch/start', { headers: upgrade, body: start }, /^HTTP\/1\.1 404 [^]*No such exec instance: nosuch/],
      ['/v1.50/exec/nosuch/start', { headers: upgrade, body: '{"Detach":' }, /^HTTP\/1\.1 400 [^]*invalid JSON/],
      ['/v1.50/exec/nosuch/start', { headers: upgrade, body: '{"Tty":"yes"}' }, /^HTTP\/1\.1 400 [^]*Tty must be a boolean/],
      ['/v1.50/exec/nosuch/start', { headers: { ...upgrade, 'content-length': '99999999' } }, /^HTTP\/1\.1 413 /],
    ];
    for (const [path, options, expected] of cases) {
      const { socket, heard } = await raw(path, options);
      await once(socket, 'end');
      expect(heard()).toMatch(expected);
      expect(heard()).toMatch(/content-type: application\/json\r\n/);
      socket.end();
    }
    const reader = await fixture.gateway.tenant({}, ['host:read']);
    const { socket, heard } = await raw('/v1.50/containers/box/attach?stream=1', { headers: { ...upgrade, authorization: `Bearer ${reader.key}` } });
    await once(socket, 'end');
    expect(heard()).toMatch(/^HTTP\/1\.1 403 /);
    socket.end();
  });

  it("shows no other tenant's processes", async () => {
    const other = await fixture.gateway.tenant();
    const id = await newExec('echo', 'secret');
    for (const path of ['/v1.50/containers/box/attach?stream=1&stdout=1', `/v1.50/exec/${id}/start`]) {
      const { socket, heard } = await raw(path, { body: start, headers: { ...upgrade, authorization: `Bearer ${other.key}` } });
      await once(socket, 'end');
      expect(heard()).toMatch(/^HTTP\/1\.1 404 /);
      socket.end();
    }
    expect(await fixture.gateway.call(other.key, 'GET', `/v1.50/exec/${id}/json`)).toMatchObject({ status: 404, body: { message: `No such exec instance: ${id}` } });
  });

  it('checks bodies and sizes', async () => {
    const post = (path: string, body?: unknown) => fixture.gateway.call<{ message: string }>(fixture.key, 'POST', path, body);
    expect(await post('/v1.50/containers/box/exec', { Cmd: [] })).toMatchObject({ status: 400, body: { message: 'No exec command specified' } });
    expect(await post('/v1.50/containers/box/exec', { Cmd: ['a', 1] })).toMatchObject({ status: 400 });
    expect(await post('/v1.50/containers/box/exec', { Cmd: ['a'], DetachKeys: 'ctrl-' })).toMatchObject({ status: 400, body: { message: 'Invalid escape keys (ctrl-) provided' } });
    const id = await newExec('sleep');
    expect(await post(`/v1.50/exec/${id}/resize?h=0&w=65535`)).toMatchObject({ status: 200 });
    expect(fixture.host.processes.find({ id }).process.sizes).toEqual([{ columns: 65_535, rows: 0 }]);
    for (const query of ['h=1', 'h=1&w=65536', 'h=-1&w=1', 'h=x&w=1']) expect(await post(`/v1.50/exec/${id}/resize?${query}`)).toMatchObject({ status: 400 });
    expect(await post('/v1.50/containers/box/resize?h=24&w=80')).toMatchObject({ status: 200 });
    await docker('create', '--name', 'idle', 'busybox', 'sleep');
    expect(await post('/v1.50/containers/idle/exec', { Cmd: ['true'] })).toMatchObject({ status: 409, body: { message: expect.stringMatching(/^container [0-9a-f]{64} is not running$/) as string } });
  });

  it('attaches by WebSocket', async () => {
    await docker('run', '-d', '-i', '--name', 'wscat', 'busybox', 'cat');
    const client = new WebSocket(`${fixture.gateway.url.replace('http', 'ws')}/v1.50/containers/wscat/attach/ws?stream=1&stdin=1&stdout=1`, { headers: { authorization: `Bearer ${fixture.key}` } });
    await once(client, 'open');
    const message = once(client, 'message');
    client.send('to and fro');
    expect(String(((await message) as [Buffer])[0])).toBe('to and fro');
    const closed = once(client, 'close');
    fixture.host.processes.main('wscat').end(0);
    await closed;
  });

  it('lets many look on, and goes on without them', async () => {
    await docker('run', '-d', '-i', '--name', 'stage', 'busybox', 'cat');
    const lookers = await Promise.all(Array.from({ length: 5 }, () => raw('/v1.50/containers/stage/attach?stream=1&stdin=1&stdout=1', { headers: upgrade })));
    await until(() => lookers.every(({ heard }) => heard().startsWith('HTTP/1.1 101')));
    lookers[0]?.socket.write('seen by all');
    await until(() => lookers.every(({ heard }) => heard().endsWith('seen by all')));
    for (const { socket } of lookers) socket.resetAndDestroy();
    expect(fixture.host.processes.main('stage').exitCode).toBeUndefined();
  });
});
