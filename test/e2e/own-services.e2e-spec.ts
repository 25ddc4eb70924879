import { jest } from '@jest/globals';
import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { chown, chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { connect, createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { embeddedBinaries, startPlatform, UNPRIVILEGED, type Platform, redisServerProgram } from '#testing';

jest.setTimeout(60_000);

// Every character that a URL gives a meaning of its own.
const PASSWORD = 'p@ss/w?rd:#1%';
const AT = encodeURIComponent(PASSWORD);

let folder: string;
let copiedTo: string | undefined;
const servers: ChildProcess[] = [];
const ports = { postgres: 0, redis: 0 };

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

async function listening(port: number): Promise<void> {
  for (let tries = 0; tries < 500; tries += 1) {
    const open = await new Promise<boolean>((resolve) => {
      const socket = connect(port, '127.0.0.1', () => { resolve(true); socket.destroy(); });
      socket.once('error', () => { resolve(false); });
    });
    if (open) return;
    await sleep(20);
  }
  throw new Error(`nothing listens on ${port}`);
}

function start(argv: readonly string[]): void {
  servers.push(spawn('setpriv', [`--reuid=${UNPRIVILEGED.uid}`, `--regid=${UNPRIVILEGED.gid}`, '--clear-groups', '--pdeathsig=KILL', ...argv], { cwd: folder, stdio: 'ignore' }));
}

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sandbar-own-'));
  await chmod(folder, 0o755);
  await chown(folder, UNPRIVILEGED.uid, UNPRIVILEGED.gid);
  const binaries = await embeddedBinaries();
  copiedTo = binaries.copiedTo;
  if (copiedTo !== undefined) await chmod(copiedTo, 0o755);
  await writeFile(join(folder, 'password'), PASSWORD, { mode: 0o644 });
  const data = join(folder, 'pg');
  await promisify(execFile)(join(binaries.folder, 'bin', 'initdb'), ['-D', data, '-U', 'me', '--pwfile', join(folder, 'password'), '--auth=scram-sha-256', '--encoding=UTF8', '--locale=C', '--no-sync', '--no-instructions'], { ...UNPRIVILEGED, cwd: folder, env: {} });
  ports.postgres = await freePort();
  ports.redis = await freePort();
  start([join(binaries.folder, 'bin', 'postgres'), '-D', data, '-c', 'listen_addresses=127.0.0.1', '-c', `port=${ports.postgres}`, '-c', 'unix_socket_directories=', '-c', 'fsync=off']);
  start([await redisServerProgram(folder), '--bind', '127.0.0.1', '--port', String(ports.redis), '--requirepass', PASSWORD, '--save', '', '--dir', folder]);
  await Promise.all([listening(ports.postgres), listening(ports.redis)]);
});
afterAll(async () => {
  for (const server of servers) {
    const exit = once(server, 'exit');
    server.kill('SIGQUIT');
    await exit;
  }
  for (const path of [folder, copiedTo]) if (path !== undefined) await rm(path, { recursive: true, force: true });
});

const databaseUrl = () => `postgresql://me:${AT}@127.0.0.1:${ports.postgres}/postgres`;

it('serves from a PostgreSQL and a Redis of the user, over TCP with passwords, and starts none of its own', async () => {
  const platform: Platform = await startPlatform({ env: { DATABASE_URL: databaseUrl(), REDIS_URL: `redis://:${AT}@127.0.0.1:${ports.redis}/3` } });
  try {
    const run = await platform.client().runs.createAndWait({ runtime: 'bash', code: 'echo hello' });
    expect(run).toMatchObject({ state: 'succeeded', stdout: 'hello\n' });
    const frames = [];
    for await (const frame of platform.client().runs.logs(run.id)) frames.push(frame.type);
    expect(frames).toEqual(['output', 'end']);
    expect(Object.keys((await platform.status())?.services ?? {}).sort()).toEqual(['gateway', 'worker']);
    expect(platform.output).toMatch(/PostgreSQL: yours, 127\.0\.0\.1:\d+\/postgres/);
    for (const said of [platform.output, await platform.logOf('gateway'), await platform.logOf('worker')]) {
      for (const secret of [PASSWORD, AT]) expect(said).not.toContain(secret);
    }
    for (const service of ['gateway', 'worker'] as const) {
      const commandLine = await readFile(`/proc/${await platform.pidOf(service)}/cmdline`, 'utf8');
      for (const secret of [PASSWORD, AT]) expect(commandLine).not.toContain(secret);
    }
  } finally {
    await platform.stop();
  }
});

it.each([
  ['a wrong password of Redis', { REDIS_URL: (port: number) => `redis://:wrong-one@127.0.0.1:${port}` }, /Redis at 127\.0\.0\.1:\d+: WRONGPASS/],
  ['a Redis that is not there', { REDIS_URL: () => 'redis://127.0.0.1:1' }, /Redis at 127\.0\.0\.1:1: ECONNREFUSED/],
  ['a wrong password of PostgreSQL', { DATABASE_URL: (_redis: number, postgres: number) => `postgresql://me:wrong-one@127.0.0.1:${postgres}/postgres` }, /password authentication failed for user "me"/],
  ['a database URL that is none', { DATABASE_URL: () => 'mysql://wrong-one@127.0.0.1/x' }, /DATABASE_URL is not a PostgreSQL URL/],
])('says what is wrong at once, and no password: %s', async (_name, urls: Partial<Record<'REDIS_URL' | 'DATABASE_URL', (redis: number, postgres: number) => string>>, words) => {
  const given = Object.fromEntries(Object.entries(urls).map(([name, url]) => [name, url(ports.redis, ports.postgres)]));
  const began = performance.now();
  const failure = await startPlatform({ env: { DATABASE_URL: databaseUrl(), REDIS_URL: `redis://:${AT}@127.0.0.1:${ports.redis}/3`, ...given } }).then(() => undefined, (error: unknown) => (error as Error).message);
  expect(failure).toMatch(words);
  expect(failure).not.toContain('wrong-one');
  expect(performance.now() - began).toBeLessThan(15_000);
});
