import { jest } from '@jest/globals';
import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { CodedError } from '#kernel';
import { upgrade } from './node-upgrade.js';

const HEAD = 'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nSandbar-TTY: 1\r\nx-empty:\r\n\r\n';

describe('an upgrade of a connection to a node', () => {
  let server: Server;
  let port: number;
  let serve: (socket: Socket) => Promise<void> | void;
  let asked: string;
  let mine: Socket | undefined;
  const open: Socket[] = [];

  beforeAll(async () => {
    server = createServer({ allowHalfOpen: true }, (socket) => {
      asked = '';
      socket.on('error', () => undefined).on('data', (chunk: Buffer) => {
        const first = asked === '';
        asked += chunk.toString();
        if (first) void serve(socket);
      });
      open.push(socket);
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    ({ port } = server.address() as AddressInfo);
  });
  afterAll(() => {
    for (const socket of open) socket.destroy();
    server.close();
  });

  function ask({ limitMs = 5000, signal = new AbortController().signal, json }: { readonly limitMs?: number; readonly signal?: AbortSignal; readonly json?: unknown } = {}) {
    const opened = (): Socket => {
      mine = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
      open.push(mine);
      return mine;
    };
    return upgrade({ connect: opened, path: '/a?b=1', headers: { authorization: 'Bearer t' }, json, limitMs, signal }, (status, body) => new CodedError('conflict', `${status} ${body.toString()}`));
  }

  it('asks, takes an answer in pieces, and leaves what is behind it in the connection', async () => {
    serve = async (socket) => {
      for (const piece of [HEAD.slice(0, 20), HEAD.slice(20, -2), `${HEAD.slice(-2)}fir`, 'st']) {
        socket.write(piece);
        await sleep(5);
      }
      socket.end();
    };
    const { socket, header } = await ask({ json: { ä: 1 } });
    expect([header('sandbar-tty'), header('x-empty'), header('other')]).toEqual(['1', '', undefined]);
    let heard = '';
    for await (const chunk of socket) heard += String(chunk);
    expect(heard).toBe('first');
    const [head = '', body] = asked.split('\r\n\r\n');
    expect(head.split('\r\n')).toEqual(['POST /a?b=1 HTTP/1.1', 'host: node', 'authorization: Bearer t', 'connection: Upgrade', 'upgrade: sandbar-stream', 'content-length: 8']);
    expect(body).toBe('{"ä":1}');
  });

  it.each([
    ['with a length', 'HTTP/1.1 409 Conflict\r\ncontent-length: 2\r\n\r\n{}', false, { code: 'conflict', message: '409 {}' }],
    ['without one, to its end', 'HTTP/1.1 400 Bad Request\r\n\r\n', true, { code: 'conflict', message: '400 ' }],
    ['that is cut', 'HTTP/1.1 409 Conflict\r\ncontent-length: 9\r\n\r\n{}', true, { code: 'conflict', message: '409 {}' }],
    ['of another kind', 'SSH-2.0-x\r\n\r\n', true, { code: 'unavailable' }],
    ['of nothing', '', true, { code: 'unavailable' }],
    ['without an end', 'x'.repeat(1_100_000), false, { code: 'unavailable', message: 'the node gave no proper answer' }],
  ])('is refused by an answer %s', async (_what, text, ends, error) => {
    serve = (socket) => {
      socket.write(text);
      if (ends) socket.end();
    };
    await expect(ask()).rejects.toMatchObject(error);
    expect(mine?.destroyed).toBe(true);
  });

  it('is given up in time, on the signal, and when nobody listens', async () => {
    serve = () => undefined;
    await expect(ask({ limitMs: 30 })).rejects.toMatchObject({ code: 'unavailable', message: 'the node does not answer in time' });
    const gone = new AbortController();
    const asking = ask({ signal: gone.signal });
    setTimeout(() => { gone.abort(); }, 20);
    await expect(asking).rejects.toMatchObject({ code: 'cancelled' });
    await expect(ask({ signal: AbortSignal.abort() })).rejects.toMatchObject({ code: 'cancelled' });
    const nowhere = upgrade({ connect: () => connect({ port: 1, host: '127.0.0.1' }), path: '/', headers: {}, limitMs: 5000, signal: new AbortController().signal }, () => new CodedError('internal', ''));
    await expect(nowhere).rejects.toMatchObject({ code: 'unavailable', message: 'the node does not answer' });
  });

  it.each([['path', '/a b', {}], ['path', '/a\r\nx: 1', {}], ['path', '/ä', {}], ['value', '/', { x: 'a\r\nb: 1' }]])('asks nobody with a %s that is not escaped', async (_what, path, headers) => {
    const opened = jest.fn<() => Socket>();
    await expect(upgrade({ connect: opened, path, headers, limitMs: 5000, signal: new AbortController().signal }, () => new CodedError('conflict', ''))).rejects.toThrow();
    expect(opened).not.toHaveBeenCalled();
  });
});
