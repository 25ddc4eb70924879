import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { TunnelConnections } from './tunnel-connections.js';

const SPARE_MS = 300;

describe('connections for tunnels', () => {
  let folder: string;
  let socketPath: string;
  let server: Server;
  let accepted: Socket[];
  let tunnels: TunnelConnections;

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'tunnels-'));
    socketPath = join(folder, 'node.sock');
    accepted = [];
    server = createServer({ allowHalfOpen: true }, (socket) => {
      socket.on('error', () => undefined).resume();
      accepted.push(socket);
    });
    server.listen(socketPath);
    await once(server, 'listening');
    tunnels = new TunnelConnections(SPARE_MS, 5);
  });
  afterEach(async () => {
    tunnels.close();
    for (const socket of accepted) socket.destroy();
    server.close();
    await rm(folder, { recursive: true });
  });

  /** What the server leaves of it at the end is nobody's concern. */
  const take = (): Socket => tunnels.take({ socketPath }).on('error', () => undefined);
  const count = async (wanted: number): Promise<void> => {
    while (accepted.length < wanted) await sleep(2);
  };
  /** The second is not the spare one yet. */
  async function withSpare(): Promise<Socket> {
    const first = take();
    await count(2);
    await sleep(10);
    return first;
  }

  it('keeps one ready behind the first, and behind each that is taken', async () => {
    const first = await withSpare();
    const second = take();
    expect(second.connecting).toBe(false);
    await count(3);
    const third = take();
    expect(new Set([first, second, third]).size).toBe(3);
    for (const [index, socket] of [first, second, third].entries()) {
      const heard = once(accepted[index]!, 'data');
      socket.write(String(index));
      expect(String((await heard)[0])).toBe(String(index));
    }
  });

  it('hears on one that was kept ready all that comes, and stays open when the node ends its half', async () => {
    await withSpare();
    const socket = take();
    const heard: string[] = [];
    socket.on('data', (chunk: Buffer) => heard.push(chunk.toString()));
    const ended = once(socket, 'end');
    accepted[1]!.end('all of it');
    await ended;
    expect([heard.join(''), socket.writable]).toEqual(['all of it', true]);
    await sleep(SPARE_MS + 100);
    expect(socket.destroyed).toBe(false);
    socket.destroy();
  });

  it.each([
    ['closed', (socket: Socket) => socket.destroy()],
    ['ended', (socket: Socket) => socket.end()],
    ['spoke on', (socket: Socket) => socket.write('HTTP/1.1 408 Request Timeout\r\n\r\n')],
  ])('does not use one that the node %s', async (_what, spoil) => {
    await withSpare();
    spoil(accepted[1]!);
    await sleep(20);
    expect(take().connecting).toBe(true);
  });

  it('lets one go that nobody needs, and makes no other', async () => {
    await withSpare();
    const gone = once(accepted[1]!, 'close');
    accepted[1]!.once('end', () => accepted[1]!.end());
    await gone;
    await sleep(SPARE_MS + 50);
    expect(accepted).toHaveLength(2);
    expect(take().connecting).toBe(true);
  });

  it('says of a node that is away what a connection says', async () => {
    server.close();
    const [error] = (await once(tunnels.take({ socketPath: join(folder, 'other.sock') }), 'error')) as [NodeJS.ErrnoException];
    expect(error.code).toBe('ENOENT');
  });

  it('keeps none for another node, and none once it is closed', async () => {
    await withSpare();
    tunnels.take({ host: '127.0.0.1', port: 1 }).on('error', () => undefined);
    tunnels.close();
    const ended = accepted[1]!.readableEnded ? undefined : once(accepted[1]!, 'end');
    await ended;
    take();
    await sleep(30);
    expect(accepted).toHaveLength(3);
  });
});
