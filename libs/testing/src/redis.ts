import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { redisServerProgram } from './redis-program.js';

/** A Redis server of one suite's own, on a Unix socket. */
export interface TestRedis {
  /** Where it listens, in the words of ioredis' options. */
  readonly options: { readonly path: string };
  /** For REDIS_URL. */
  readonly url: string;
  /** SIGKILL, at once. */
  kill(): Promise<void>;
  /** Starts it again on the same socket; with `appendOnly` it has its data back. */
  restart(): Promise<void>;
  /** Ends it and removes its folder. */
  stop(): Promise<void>;
}

/** `appendOnly`: every acknowledged write survives `kill()`. The server ends with this process, however that ends. */
export async function startTestRedis({ appendOnly = false }: { appendOnly?: boolean } = {}): Promise<TestRedis> {
  const folder = await mkdtemp(join(tmpdir(), 'redis-'));
  const path = join(folder, 's');
  const janitor = spawnJanitor(folder);
  let server = await startServer(folder, path, appendOnly);

  const kill = async () => {
    if (server.exitCode !== null || server.signalCode !== null) return;
    const exit = once(server, 'exit');
    server.kill('SIGKILL');
    await exit;
  };
  return {
    options: { path },
    url: `unix:${path}`,
    kill,
    restart: async () => {
      await kill();
      server = await startServer(folder, path, appendOnly);
    },
    stop: async () => {
      await kill();
      await rm(folder, { recursive: true, force: true });
      const exit = once(janitor, 'exit');
      janitor.stdin?.end();
      await exit;
    },
  };
}

/** Removes the folder when its stdin closes, which the kernel does even when this process is killed. */
function spawnJanitor(folder: string): ChildProcess {
  return spawn('sh', ['-c', 'read -r _; sleep 0.1; rm -rf "$1"', 'sh', folder], { stdio: ['pipe', 'ignore', 'ignore'] });
}

async function startServer(folder: string, path: string, appendOnly: boolean): Promise<ChildProcess> {
  // hz 100: BullMQ's delayed jobs come up to one tick late.
  const settings = { port: '0', unixsocket: path, hz: '100', save: '', dir: folder, appendonly: appendOnly ? 'yes' : 'no', appendfsync: 'always' };
  const args = Object.entries(settings).flatMap(([name, value]) => [`--${name}`, value]);
  await rm(path, { force: true });
  const server = spawn('setpriv', ['--pdeathsig', 'KILL', await redisServerProgram(folder), ...args], { stdio: 'ignore' });
  for (let tries = 0; tries < 500; tries += 1) {
    if (server.exitCode !== null || server.signalCode !== null) throw new Error(`redis-server ended with ${server.exitCode ?? server.signalCode ?? ''}`);
    if (await answers(path)) return server;
    await sleep(10);
  }
  server.kill('SIGKILL');
  throw new Error('redis-server did not answer within 5 s');
}

/** Whether PING is answered by PONG: while it loads its data, Redis accepts connections but answers -LOADING. */
function answers(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path, () => socket.write('PING\r\n'));
    const finish = (answered: boolean) => {
      socket.destroy();
      resolve(answered);
    };
    socket.once('data', (data) => { finish(data.toString().startsWith('+PONG')); });
    socket.once('error', () => { finish(false); });
  });
}
