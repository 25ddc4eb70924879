import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { copyFile, mkdtemp, rm } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Duplex } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { silentLogger } from '#kernel';
import { identifyProcess, type ProcessIdentity } from '../proc.js';
import { HelperDialer } from './helper-dialer.js';
import { HelperSpawner } from './helper-spawner.js';

const BUILD = join(import.meta.dirname, '../../../../../infra/native/build.mjs');
/** Listens on the loopback of a network name space of its own: what comes goes back, behind it a word. */
const SERVER = `
  const server = require('node:net').createServer({ allowHalfOpen: true }, (socket) => { socket.on('data', (chunk) => socket.write(chunk)).on('end', () => socket.end('bye')).on('error', () => {}); });
  const talker = require('node:net').createServer((socket) => { socket.on('error', () => {}); socket.end('hello'); });
  server.listen(7000, '127.0.0.1', () => talker.listen(7001, '::1', () => console.log('ready')));
`;

describe('HelperDialer', () => {
  let base: string;
  let spawner: HelperSpawner;
  let dialer: HelperDialer;
  let guest: ChildProcess;
  let identity: ProcessIdentity;

  beforeAll(async () => {
    base = await mkdtemp(join(tmpdir(), 'dial-'));
    const made = process.env.SANDBAR_TEST_PROGRAMS;
    for (const program of ['sandbar-spawner', 'sandbar-dial']) {
      if (made !== undefined) await copyFile(join(made, program), join(base, program));
      else execFileSync(process.execPath, [BUILD, '--out', base, program], { stdio: 'pipe' });
    }
    guest = spawn('unshare', ['--net', 'sh', '-c', 'ip link set lo up && exec "$0" -e "$1"', process.execPath, SERVER], { stdio: ['ignore', 'pipe', 'inherit'] });
    await once(guest.stdout as NodeJS.ReadableStream, 'data');
    identity = (await identifyProcess(guest.pid ?? 0)) ?? { pid: 0, startTicks: 0 };
  });
  afterAll(async () => {
    guest.kill('SIGKILL');
    await rm(base, { recursive: true, force: true });
  });
  beforeEach(async () => {
    spawner = new HelperSpawner({ program: join(base, 'sandbar-spawner'), logger: silentLogger });
    dialer = await HelperDialer.open({ program: join(base, 'sandbar-dial'), spawner, folder: join(base, 'd'), logger: silentLogger });
  });
  afterEach(async () => {
    await dialer.close();
    await spawner.close();
  });

  async function read(connection: Duplex): Promise<Buffer> {
    const parts: Buffer[] = [];
    for await (const chunk of connection.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) parts.push(chunk);
    return Buffer.concat(parts);
  }

  const helpers = (): number => execFileSync('ps', ['-eo', 'args'], { encoding: 'utf8' }).split('\n').filter((line) => line.startsWith(join(base, 'sandbar-dial'))).length;

  async function untilGone(): Promise<void> {
    for (let tries = 0; helpers() > 0; tries += 1) {
      if (tries > 200) throw new Error('sandbar-dial stays');
      await sleep(20);
    }
  }

  it('reaches what listens in the name space, on either loopback, and nowhere else', async () => {
    const connection = await dialer.dial(identity, 7000);
    connection.end('there and back ');
    expect((await read(connection)).toString()).toBe('there and back bye');
    const other = await dialer.dial(identity, 7001);
    expect((await read(other)).toString()).toBe('hello');
    other.end();
    // The node itself has nothing there.
    const outside = connect(7000, '127.0.0.1');
    await expect(once(outside, 'connect')).rejects.toMatchObject({ code: 'ECONNREFUSED' });
    await untilGone();
  });

  it('carries much, both ways at once, at the pace of the reader', async () => {
    const connection = await dialer.dial(identity, 7000);
    const bytes = Buffer.alloc(32 * 1024 * 1024, 'z');
    const heard = read(connection);
    connection.end(bytes);
    expect((await heard).length).toBe(bytes.length + 3);
    await untilGone();
  });

  it('says what is wrong', async () => {
    await expect(dialer.dial(identity, 7002)).rejects.toMatchObject({ code: 'failed_precondition', message: 'nothing listens on port 7002 of the sandbox' });
    await expect(dialer.dial({ pid: identity.pid, startTicks: identity.startTicks + 1 }, 7000)).rejects.toMatchObject({ code: 'not_found' });
    await expect(dialer.dial({ pid: 2 ** 30, startTicks: 1 }, 7000)).rejects.toMatchObject({ code: 'not_found' });
    await untilGone();
  });

  it('lets nobody in who has no token', async () => {
    const stranger = connect(join(base, 'd', 's'));
    stranger.on('error', () => undefined);
    stranger.write(Buffer.alloc(68, 'a'));
    await once(stranger, 'close');
  });

  it('goes on with its work while a token comes in pieces', async () => {
    const slow = connect(join(base, 'd', 's'));
    slow.on('error', () => undefined);
    slow.write(Buffer.alloc(20, 'a'));
    // Were the pieces waited for in a loop, this timer would never fire.
    await sleep(100);
    slow.end(Buffer.alloc(10, 'a'));
    await once(slow, 'close');
  });

  it('ends with whoever destroys it, and with all when it closes', async () => {
    const connections = await Promise.all(Array.from({ length: 8 }, () => dialer.dial(identity, 7000)));
    expect(helpers()).toBe(8);
    connections[0]?.destroy();
    for (let tries = 0; helpers() > 7; tries += 1) {
      if (tries > 200) throw new Error('sandbar-dial stays');
      await sleep(20);
    }
    await dialer.close();
    await untilGone();
  });
});
