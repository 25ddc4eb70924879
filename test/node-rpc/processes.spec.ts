import { mkdtemp, rm } from 'node:fs/promises';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { inputFrame, outputFramesOf, resizeFrame, tenantLimitsSchema, type CreateExecBody, type ProcessOutputFrame } from '#contracts';
import { CodedError, newId, silentLogger } from '#kernel';
import type { AttachExecRequest, ProcessConnection } from '../../apps/gateway/src/nodes/host-processes.js';
import { NodeConnection } from '../../apps/gateway/src/nodes/node-connection.js';
import { NodeSockets } from '../../apps/gateway/src/nodes/node-sockets.js';
import { RemoteTenantHost } from '../../apps/gateway/src/nodes/remote-tenant-host.js';
import { splice, type SpliceResult } from '../../apps/gateway/src/streams/splice.js';
import { ExecDeadlines } from '../../apps/worker/src/host/exec-deadlines.js';
import type { HostServices } from '../../apps/worker/src/host/host-services.js';
import { processRoutes } from '../../apps/worker/src/host/process-routes.js';
import { processTunnelRoutes } from '../../apps/worker/src/host/process-tunnel-routes.js';
import { RpcServer } from '../../apps/worker/src/node/rpc-server.js';
import { FakeProcesses, type FakeProcess } from './fake-processes.js';

const TOKEN = 't'.repeat(40);
const CONTAINER = 'c'.repeat(64);
const STALL_MS = 1000;
const tenant = { id: newId('tenant'), limits: tenantLimitsSchema.parse({}) };
const all = { stdin: true, stdout: true, stderr: true, logs: false, follow: true } as const;

function execBody(more: Partial<CreateExecBody> = {}): CreateExecBody {
  const clientConfig = { attachStdin: true, attachStdout: true, attachStderr: true, detachKeys: '', name: '', timeoutMs: null };
  return { argv: ['cat'], env: [], workingDir: '', user: '', tty: false, openStdin: true, privileged: false, clientConfig, ...more };
}

async function until(what: () => boolean): Promise<void> {
  for (let tries = 0; !what(); tries += 1) {
    if (tries > 400) throw new Error('it did not come to that');
    await sleep(5);
  }
}

describe('processes over node RPC', () => {
  let folder: string;
  let path: string;
  let server: RpcServer;
  let engine: FakeProcesses;
  const sockets = new NodeSockets();
  const leaving: (() => void)[] = [];
  const quiet = (): AbortSignal => new AbortController().signal;
  const host = (token = TOKEN) => new RemoteTenantHost(tenant, () => Promise.resolve(new NodeConnection(`unix:${path}`, token, sockets))).processes;

  async function start(tty = false): Promise<void> {
    engine = new FakeProcesses(CONTAINER, tty);
    const containers = { get: (_: string, text: string) => (text === 'c' || text === CONTAINER ? Promise.resolve({ id: CONTAINER }) : Promise.reject(new CodedError('not_found', `No such container: ${text}`))) };
    const ports = { connect: (_tenant: string, text: string, port: number) => dial(text, port) };
    const services = { processes: engine, containers, ports, deadlines: new ExecDeadlines(engine, silentLogger) } as unknown as HostServices;
    server = new RpcServer({ listen: { kind: 'unix', path }, groupId: undefined, token: TOKEN, routes: processRoutes(services), upgrades: processTunnelRoutes(services, STALL_MS), logger: silentLogger });
    await server.start();
  }

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'prpc-'));
    path = join(folder, 's');
    await start();
  });
  afterEach(async () => {
    for (const leave of leaving.splice(0)) leave();
    await server.stop();
    await rm(folder, { recursive: true });
  });
  afterAll(() => {
    sockets.close();
  });

  async function read({ socket }: ProcessConnection): Promise<Buffer> {
    const parts: Buffer[] = [];
    for await (const chunk of socket.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) parts.push(chunk);
    return Buffer.concat(parts);
  }

  async function frames({ socket }: ProcessConnection): Promise<ProcessOutputFrame[]> {
    const heard: ProcessOutputFrame[] = [];
    for await (const frame of outputFramesOf(socket.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>)) heard.push(frame);
    return heard;
  }

  async function exec(more: Partial<CreateExecBody> = {}, request: Partial<AttachExecRequest> = {}): Promise<{ id: string; process: FakeProcess; connection: ProcessConnection }> {
    const { id } = await host().createExec('c', execBody(more));
    const connection = await host().attachExec({ id }, { ...all, format: 'auto', start: true, ...request }, quiet());
    return { id, process: engine.process(id), connection };
  }

  it('multiplexes what is no terminal, and ends its half with the output', async () => {
    const { process, connection } = await exec();
    expect(connection.tty).toBe(false);
    await Promise.all([process.write('stdout', 'out'), process.write('stderr', 'err')]);
    process.end(3);
    expect((await read(connection)).toString('latin1')).toBe('\x01\0\0\0\0\0\0\x03out\x02\0\0\0\0\0\0\x03err');
    expect(await host().exec({ id: '0'.repeat(64) })).toMatchObject({ state: 'ended', exitCode: 3, containerId: CONTAINER });
  });

  it('gives the bytes of a terminal as they are, and starts it with its size', async () => {
    const { process, connection } = await exec({ tty: true }, { size: { columns: 100, rows: 30 } });
    expect(connection.tty).toBe(true);
    await process.write('stdout', '\x1b[H');
    process.end(0);
    expect((await read(connection)).toString()).toBe('\x1b[H');
    expect(process.sizes).toEqual([{ columns: 100, rows: 30 }]);
  });

  it('passes the end of the input on and goes on with the output', async () => {
    const { process, connection } = await exec();
    const ended = once(process.bell, 'eof');
    connection.socket.write(Buffer.concat([inputFrame('stdin', Buffer.from('the whole input')), inputFrame('end')]));
    await ended;
    expect(process.input).toBe('the whole input');
    await process.write('stdout', 'after it');
    process.end(0);
    expect((await read(connection)).subarray(8).toString()).toBe('after it');
  });

  it('takes input still when the output has ended', async () => {
    const { process, connection } = await exec();
    process.end(0);
    expect(await read(connection)).toHaveLength(0);
    const closed = once(connection.socket, 'close');
    connection.socket.end(inputFrame('stdin', Buffer.from('too late')));
    await closed;
  });

  it('keeps a process waiting while nobody reads, and loses nothing', async () => {
    const { process, connection } = await exec({ tty: true });
    const chunk = Buffer.alloc(64 * 1024, 'x');
    let written = 0;
    const writing = (async () => {
      for (let number = 0; number < 200; number += 1) {
        await process.write('stdout', chunk);
        written += 1;
      }
      process.end(0);
    })();
    await sleep(100);
    const held = written;
    expect(held).toBeLessThan(100);
    expect(await read(connection)).toHaveLength(200 * chunk.length);
    await writing;
  });

  it('cuts off who takes nothing, and the process goes on', async () => {
    const { process, connection } = await exec({ tty: true });
    const closed = once(process.bell, 'closed');
    const writing = (async () => { for (let number = 0; number < 200; number += 1) await process.write('stdout', Buffer.alloc(64 * 1024)); })();
    await closed;
    await writing;
    expect(process.exitCode).toBeUndefined();
    connection.socket.destroy();
  });

  it('detaches from who went away', async () => {
    const { process, connection } = await exec();
    const closed = once(process.bell, 'closed');
    connection.socket.destroy();
    await closed;
    expect(process.inputEnded).toBe(false);
    expect({ streams: process.streams.size, exitCode: process.exitCode }).toEqual({ streams: 0, exitCode: undefined });
  });

  it('holds the input back while the program does not read', async () => {
    const { process, connection } = await exec();
    const gate = Promise.withResolvers<undefined>();
    process.reading = gate.promise;
    const chunk = Buffer.alloc(1024 * 1024);
    let sent = 0;
    const sending = (async () => {
      for (; sent < 32; sent += 1) if (!connection.socket.write(inputFrame('stdin', chunk))) await once(connection.socket, 'drain');
      connection.socket.write(inputFrame('end'));
    })();
    await sleep(100);
    expect(sent).toBeLessThan(16);
    gate.resolve(undefined);
    await sending;
    await until(() => process.inputEnded);
    expect(Buffer.concat(process.written)).toHaveLength(32 * chunk.length);
  });

  it('says what a start has against it before anything is upgraded', async () => {
    const { id } = await host().createExec('c', execBody({ argv: ['missing'] }));
    const attach = host().attachExec({ id }, { ...all, format: 'auto', start: true }, quiet());
    await expect(attach).rejects.toMatchObject({ code: 'invalid_argument', message: expect.stringContaining('executable file not found in $PATH') as string, details: { exitCode: 127 } });
    expect(engine.process(id).streams.size).toBe(0);
    await expect(host().attach('other', { ...all, format: 'auto' }, quiet())).rejects.toMatchObject({ code: 'not_found', message: 'No such container: other' });
    await expect(host('x'.repeat(40)).attach('c', { ...all, format: 'auto' }, quiet())).rejects.toMatchObject({ code: 'internal' });
  });

  it('makes, attaches to and starts an exec in one call', async () => {
    const argv = ['cat', 'x'.repeat(200_000)];
    const { id, socket } = await host().runExec('c', execBody({ argv }), { ...all, format: 'raw' }, quiet());
    expect(await host().exec({ id })).toMatchObject({ state: 'running', request: { argv } });
    socket.write(Buffer.concat([inputFrame('stdin', Buffer.from('in')), inputFrame('end')]));
    await until(() => engine.process(id).inputEnded);
    await engine.process(id).write('stdout', 'out');
    engine.process(id).end(0);
    expect((await read({ socket, tty: false })).toString()).toBe('out');
    await expect(host().runExec('c', execBody({ argv: ['missing'] }), { ...all, format: 'raw' }, quiet())).rejects.toMatchObject({ details: { exitCode: 127 } });
    await expect(host().runExec('c', { ...execBody(), argv: [] }, { ...all, format: 'raw' }, quiet())).rejects.toMatchObject({ code: 'invalid_argument' });
  });

  it('opens what the exec was created with when told to', async () => {
    const clientConfig = { attachStdin: false, attachStdout: true, attachStderr: false, detachKeys: Buffer.from([1, 2]).toString('base64'), name: '', timeoutMs: null };
    const { process, connection } = await exec({ clientConfig }, { asCreated: true });
    expect(process.opened).toEqual([{ stdin: false, stdout: true, stderr: false, logs: false, follow: true, detachKeys: Buffer.from([1, 2]) }]);
    connection.socket.write(Buffer.concat([inputFrame('stdin', Buffer.from('nobody asked for this')), inputFrame('end')]));
    await process.write('stderr', 'hidden');
    process.end(0);
    expect(await read(connection)).toHaveLength(0);
    expect({ input: process.input, ended: process.inputEnded }).toEqual({ input: '', ended: false });
  });

  it('speaks frames: numbered output, one end, and input with a size', async () => {
    const { process, connection } = await exec({ tty: true }, { format: 'frames', after: 7 });
    expect(process.opened[0]).toMatchObject({ after: 7 });
    connection.socket.write(Buffer.concat([inputFrame('stdin', Buffer.from('ls\n')), resizeFrame({ columns: 132, rows: 50 }), inputFrame('end')]));
    await until(() => process.inputEnded);
    expect({ input: process.input, sizes: process.sizes }).toEqual({ input: 'ls\n', sizes: [{ columns: 132, rows: 50 }] });
    await process.write('stdout', 'file\n');
    process.end(4);
    const heard = await frames(connection);
    expect(heard.map(({ kind, seq, bytes }) => [kind, seq, bytes.toString()])).toEqual([['stdout', 1, 'file\n'], ['end', 0, '{"exitCode":4,"signal":null}']]);
  });

  it('ends frames with what went wrong, and cuts bytes', async () => {
    for (const format of ['frames', 'raw'] as const) {
      const { process, connection } = await exec({}, { format });
      const heard = format === 'frames' ? frames(connection) : read(connection);
      for (const stream of process.streams) stream.fail(new CodedError('resource_exhausted', 'the reader lagged'));
      // A half that has ended looks the same in both: only one that still listens has said all.
      if (format === 'raw') expect(await heard.then(() => new Promise((resolve) => connection.socket.write(Buffer.alloc(0), resolve)))).toMatchObject({ code: 'EPIPE' });
      else expect((await heard as ProcessOutputFrame[]).map(({ kind, bytes }) => [kind, bytes.toString()])).toEqual([['error', '{"code":"resource_exhausted","message":"the reader lagged"}']]);
    }
  });

  it('closes a connection whose frames are malformed', async () => {
    const { process, connection } = await exec({}, { format: 'frames' });
    const closed = once(process.bell, 'closed');
    connection.socket.write(Buffer.from([9, 0, 0, 0, 0, 0, 0, 0]));
    await closed;
    const large = await exec({}, { format: 'frames' });
    const cut = once(large.process.bell, 'closed');
    large.connection.socket.write(Buffer.from([1, 0, 0, 0, 0xff, 0xff, 0xff, 0xff]));
    await cut;
    expect(process.input + large.process.input).toBe('');
  });

  it('tells execs of clients apart by name and container', async () => {
    const body = execBody({ name: 'build' });
    const { id } = await host().createExec('c', body);
    expect(await host().createExec(CONTAINER, body)).toEqual({ id });
    expect(id).toMatch(/^[0-9a-f]{64}$/);
    expect(await host().exec({ id: 'build', ref: 'c' })).toMatchObject({ id, state: 'created' });
    await expect(host().exec({ id: 'other', ref: 'c' })).rejects.toMatchObject({ code: 'not_found', message: 'No such exec instance: other' });
    await expect(host().exec({ id, ref: 'd' })).rejects.toMatchObject({ code: 'not_found' });
    await host().startExec({ id: 'build', ref: 'c' });
    await host().writeExec({ id: 'build', ref: 'c' }, { data: Buffer.from('x').toString('base64'), eof: true }, quiet());
    expect({ input: engine.process(id).input, ended: engine.process(id).inputEnded }).toEqual({ input: 'x', ended: true });
    await host().resizeExec({ id }, { columns: 0, rows: 65_535 });
    await host().signalExec({ id }, 'TERM');
    const waiting = host().waitExec({ id }, quiet());
    engine.process(id).end(9);
    expect(await waiting).toMatchObject({ exitCode: 9 });
    await expect(host().writeExec({ id }, { data: '', eof: true }, quiet())).rejects.toMatchObject({ code: 'failed_precondition' });
    expect(await host().execs('c')).toHaveLength(1);
  });

  it('kills an exec that is over its time', async () => {
    const { clientConfig, ...rest } = execBody();
    const { id } = await host().createExec('c', { ...rest, clientConfig: { ...clientConfig, timeoutMs: 20 } });
    await host().startExec({ id });
    expect(await host().waitExec({ id }, quiet())).toMatchObject({ exitCode: 137 });
    expect(engine.process(id).signals).toEqual(['KILL']);
  });

  it('refuses bodies and queries that are wrong', async () => {
    await expect(host().createExec('c', execBody({ argv: [] }))).rejects.toMatchObject({ code: 'invalid_argument' });
    await expect(host().createExec('c', execBody({ argv: ['a'.repeat(3 * 1024 * 1024)] }))).rejects.toMatchObject({ code: 'invalid_argument' });
    await expect(host().resize('c', { columns: 65_536, rows: 1 })).rejects.toMatchObject({ code: 'invalid_argument' });
    await expect(host().attach('c', { ...all, format: 'auto', after: -1 }, quiet())).rejects.toMatchObject({ code: 'invalid_argument' });
  });

  /** A client over TCP, spliced to the process as the gateway does. */
  async function spliced(options: { readonly stallMs?: number; readonly signal?: AbortSignal } = {}): Promise<{ process: FakeProcess; client: Socket; over: Promise<SpliceResult> }> {
    const { process, connection } = await exec({ tty: true });
    const server = createServer({ allowHalfOpen: true });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as { port: number };
    const client = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
    client.on('error', () => undefined);
    const [accepted] = (await once(server, 'connection')) as [Socket];
    leaving.push(() => {
      client.destroy();
      server.close();
    });
    return { process, client, over: splice(accepted, connection.socket, { signal: quiet(), ...options }) };
  }

  /** What a container listens with. */
  let listener: Server | undefined;
  const heard: Buffer[] = [];
  async function dial(text: string, port: number): Promise<Socket> {
    if (text !== 'c' || listener === undefined) throw new CodedError('failed_precondition', `nothing listens on port ${port} of the sandbox`, { port });
    const socket = connect({ port: (listener.address() as { port: number }).port, host: '127.0.0.1', allowHalfOpen: true });
    await once(socket, 'connect');
    return socket;
  }

  it('forwards a port: bytes both ways, either half ended first', async () => {
    await expect(host().connect('c', 80, quiet())).rejects.toMatchObject({ code: 'failed_precondition' });
    listener = createServer({ allowHalfOpen: true }, (socket) => {
      socket.on('data', (chunk: Buffer) => heard.push(chunk)).on('end', () => socket.end(`got ${Buffer.concat(heard).length}`));
    });
    listener.listen(0, '127.0.0.1');
    await once(listener, 'listening');
    leaving.push(() => { listener?.close(); });
    await expect(host().connect('c', 65_536, quiet())).rejects.toMatchObject({ code: 'invalid_argument' });
    const connection = await host().connect('c', 80, quiet());
    for (let number = 0; number < 64; number += 1) if (!connection.socket.write(inputFrame('stdin', Buffer.alloc(64 * 1024)))) await once(connection.socket, 'drain');
    connection.socket.write(inputFrame('end'));
    expect((await read(connection)).toString()).toBe(`got ${64 * 64 * 1024}`);
    connection.socket.destroy();
  });

  it('splices a client that ends its half at once', async () => {
    const { process, client, over } = await spliced();
    client.end();
    await until(() => process.inputEnded);
    await process.write('stdout', 'still here');
    process.end(0);
    expect((await read({ socket: client, tty: true })).toString()).toBe('still here');
    expect(await over).toEqual({ end: 'complete', bytesUp: 0, bytesDown: 10 });
  });

  it('splices a program that ends before its client', async () => {
    const { process, client, over } = await spliced();
    client.write('in');
    await until(() => process.input === 'in');
    await process.write('stdout', 'out');
    process.end(0);
    expect((await read({ socket: client, tty: true })).toString()).toBe('out');
    expect(await over).toMatchObject({ end: 'complete', bytesUp: 2 });
    client.end();
  });

  it('lets a slow reader have everything', async () => {
    const { process, client, over } = await spliced();
    const writing = (async () => {
      for (let number = 0; number < 100; number += 1) await process.write('stdout', Buffer.alloc(64 * 1024));
      process.end(0);
    })();
    let bytes = 0;
    for await (const chunk of client.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
      bytes += chunk.length;
      if (bytes < 2 * 1024 * 1024) await sleep(2);
    }
    await writing;
    expect(bytes).toBe(100 * 64 * 1024);
    expect(await over).toMatchObject({ end: 'complete', bytesDown: bytes });
  });

  it('ends with a client that stalls, that dies, and with the gateway; the process goes on', async () => {
    const stalled = await spliced({ stallMs: 100 });
    void (async () => { for (let number = 0; number < 500; number += 1) await stalled.process.write('stdout', Buffer.alloc(64 * 1024)); })();
    expect(await stalled.over).toMatchObject({ end: 'stalled' });
    const dead = await spliced();
    dead.client.resetAndDestroy();
    expect(await dead.over).toMatchObject({ end: 'client_gone' });
    const drain = new AbortController();
    const drained = await spliced({ signal: drain.signal });
    drain.abort();
    expect(await drained.over).toMatchObject({ end: 'aborted' });
    await until(() => [stalled, dead, drained].every(({ process }) => process.streams.size === 0));
    expect([stalled, dead, drained].map(({ process }) => process.exitCode)).toEqual([undefined, undefined, undefined]);
  });

  it('cuts the client when the node goes away', async () => {
    const { client, over } = await spliced();
    await server.stop();
    expect(await over).toMatchObject({ end: 'node_gone' });
    client.resume();
    await until(() => client.destroyed);
  });
});
