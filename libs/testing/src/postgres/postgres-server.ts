import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { chmod, chown, mkdtemp, rm } from 'node:fs/promises';
import { connect, Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { embeddedBinaries, runsAsRoot, UNPRIVILEGED } from './embedded-binaries.js';

const run = promisify(execFile);

export interface PostgresServer {
  /** Of the database `postgres`, as a user who may do everything. */
  readonly adminUrl: string;
  /** Ends it and removes all it left. Idempotent. */
  stop(): Promise<void>;
}

/** Speed before safety: what these settings could lose ends with the test. */
const SETTINGS = { fsync: 'off', synchronous_commit: 'off', full_page_writes: 'off', wal_level: 'minimal', max_wal_senders: 0, shared_buffers: '32MB', max_connections: 60, autovacuum: 'off', listen_addresses: "''" };

/**
 * Waits for the end of its standard input, which comes when the test process closes it or dies, however it dies. The server
 * gets SIGQUIT (end at once), from the kernel too should this shell be killed. $1: folder to remove, $2: another or empty.
 */
const WATCHDOG = `
folder=$1 copy=$2; shift 2
setpriv --pdeathsig QUIT "$@" </dev/null >"$folder/log" 2>&1 &
server=$!
cat >/dev/null
kill -QUIT $server 2>/dev/null
wait $server
rm -rf "$folder" \${copy:+"$copy"}`;

/** A PostgreSQL of its own on a Unix socket in a temporary folder; about a second. */
export async function startPostgresServer(): Promise<PostgresServer> {
  const { folder: binaries, copiedTo } = await embeddedBinaries();
  // Short: a socket's path holds at most 107 bytes.
  const folder = await mkdtemp(join(tmpdir(), 'sandbar-pg-'));
  await chmod(folder, 0o700);
  const asUser = runsAsRoot() ? UNPRIVILEGED : {};
  if (runsAsRoot()) await chown(folder, UNPRIVILEGED.uid, UNPRIVILEGED.gid);
  if (copiedTo !== undefined) await chmod(copiedTo, 0o755);
  const data = join(folder, 'data');
  try {
    await run(join(binaries, 'bin', 'initdb'), ['-D', data, '-U', 'sandbar', '--auth=trust', '--encoding=UTF8', '--locale=C', '--no-sync', '--no-instructions'], { ...asUser, cwd: folder, env: {} });
  } catch (error) {
    for (const path of [folder, copiedTo]) if (path !== undefined) await rm(path, { recursive: true, force: true });
    throw error;
  }
  const settings = Object.entries(SETTINGS).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
  const server = [join(binaries, 'bin', 'postgres'), '-D', data, '-k', folder, ...settings.map((setting) => setting.replace("''", ''))];
  const privileges = runsAsRoot() ? ['setpriv', '--reuid', `${UNPRIVILEGED.uid}`, '--regid', `${UNPRIVILEGED.gid}`, '--clear-groups', '--pdeathsig', 'QUIT'] : [];
  const watchdog = spawn('/bin/sh', ['-c', WATCHDOG, 'sandbar-test-postgres', folder, copiedTo ?? '', ...privileges, ...server], {
    // Out of the terminal's process group: Ctrl-C reaches the tests, and their end reaches this.
    detached: true,
    stdio: ['pipe', 'ignore', 'ignore'],
    env: { PATH: '/usr/sbin:/usr/bin:/sbin:/bin' },
    cwd: '/',
  });
  const over = new Promise<void>((resolve) => watchdog.once('exit', () => { resolve(); }));
  // The tests do not wait for it.
  watchdog.unref();
  if (watchdog.stdin instanceof Socket) watchdog.stdin.unref();
  const stop = async (): Promise<void> => {
    watchdog.ref();
    watchdog.stdin.destroy();
    await over;
  };
  try {
    await accepting(join(folder, '.s.PGSQL.5432'), watchdog);
  } catch (error) {
    await stop();
    throw error;
  }
  return { adminUrl: `postgresql://sandbar@localhost/postgres?host=${encodeURIComponent(folder)}`, stop };
}

/** The socket exists before the server is ready; then it answers every connection with an error packet of the class 57P03. */
async function accepting(socket: string, watchdog: ChildProcess): Promise<void> {
  for (let waited = 0; waited < 15_000; waited += 20) {
    if (watchdog.exitCode !== null) break;
    if (await answersQueries(socket)) return;
    await sleep(20);
  }
  throw new Error('the test PostgreSQL did not start');
}

/** Says hello (protocol 3.0, user and database) and looks at the first byte: `R`, an authentication request. */
function answersQueries(path: string): Promise<boolean> {
  const parameters = Buffer.from('user\0sandbar\0database\0postgres\0\0');
  const hello = Buffer.alloc(8);
  hello.writeInt32BE(8 + parameters.length, 0);
  hello.writeInt32BE(196_608, 4);
  return new Promise((resolve) => {
    const socket = connect(path, () => socket.write(Buffer.concat([hello, parameters])));
    socket.once('data', (data: Buffer) => {
      resolve(data[0] === 0x52);
      socket.destroy();
    });
    socket.once('close', () => { resolve(false); });
    socket.once('error', () => { resolve(false); });
  });
}
