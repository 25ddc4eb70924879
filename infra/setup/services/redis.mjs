import { mkdirSync, rmSync, symlinkSync } from 'node:fs';
import { dirname } from 'node:path';
import { ensureFolder, ensureSecret, writeFileAtomic } from '../data-folder.mjs';
import { findProgram } from '../packages.mjs';
import { SetupError } from '../setup-error.mjs';
import { asAccount, serviceEnv } from './launch.mjs';
import { ask } from './postgres.mjs';

/** A Redis of our own on a Unix socket, with every write in its append-only file. */
export function redisService({ paths, accounts }) {
  const password = ensureSecret(paths, 'redis-password');
  const configFile = `${paths.redis}/redis.conf`;
  const config = [
    'port 0',
    `unixsocket ${paths.redisSocket}`,
    'unixsocketperm 777',
    `dir ${paths.redis}`,
    'appendonly yes',
    'appendfsync everysec',
    'save ""',
    // The queue's delayed jobs are only as punctual as Redis' clock tick.
    'hz 100',
    // Queue and logs are not a cache: better to refuse a write than to forget one.
    'maxmemory-policy noeviction',
    `requirepass ${password}`,
    'daemonize no',
    'supervised no',
  ];
  return {
    name: 'redis',
    stopSignal: 'SIGTERM',
    stopTimeoutMs: 10_000,
    url: `unix:${paths.redisSocket}?password=${password}`,
    async prepare() {
      ensureFolder(paths.redis, 0o700, accounts.database);
      ensureFolder(dirname(paths.redisSocket), 0o750, { uid: accounts.database.uid, gid: accounts.gateway.gid });
      writeFileAtomic(configFile, `${config.join('\n')}\n`, 0o400, accounts.database);
    },
    command: () => ({ argv: asAccount(accounts.database, [redisProgram(paths), configFile], 'TERM'), env: serviceEnv({}) }),
    isReady: () => ask(paths.redisSocket, `*2\r\n$4\r\nAUTH\r\n$${password.length}\r\n${password}\r\n*1\r\n$4\r\nPING\r\n`, (answer) => /\+PONG/.test(answer.toString('latin1')) || !/LOADING/.test(answer.toString('latin1')) && answer.toString('latin1').startsWith('+OK')),
  };
}

/** One program with several names: by that of redis-server it is the server. Debian puts it into redis-tools under another name. */
function redisProgram(paths) {
  const server = findProgram('redis-server');
  if (server) return server;
  const checker = findProgram('redis-check-rdb');
  if (!checker) throw new SetupError('there is no Redis on this machine', { mend: 'apt-get install redis-tools' });
  const link = `${paths.run}/bin/redis-server`;
  mkdirSync(dirname(link), { recursive: true, mode: 0o755 });
  rmSync(link, { force: true });
  symlinkSync(checker, link);
  return link;
}
