import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { SetupError } from './setup-error.mjs';

export const CHECKOUT = resolve(dirname(fileURLToPath(import.meta.url)), '..', '..');
export const DEFAULT_DATA_DIR = '/var/lib/sandbar';
/** Kept between test runs: the runtimes' images, which take a minute to make. Outside the checkout, so that unprivileged services can pass. */
export const TEST_DATA_DIR = process.env.SANDBAR_TEST_DATA_DIR ?? '/var/lib/sandbar-test';

const START_OPTIONS = {
  'data-dir': { type: 'string' },
  port: { type: 'string' },
  host: { type: 'string' },
  'no-demo': { type: 'boolean' },
  prepared: { type: 'boolean' },
  help: { type: 'boolean', short: 'h' },
};

export const START_HELP = `npm start -- [options]

  --data-dir PATH   all state of this instance (SANDBAR_DATA_DIR, ${DEFAULT_DATA_DIR})
  --host ADDRESS    address the gateway listens on (SANDBAR_HOST, 127.0.0.1)
  --port NUMBER     port the gateway listens on (SANDBAR_PORT, 8080)
  --no-demo         do not run the hello-world program
  --prepared        everything is installed and built: only start the services

DATABASE_URL and REDIS_URL name a PostgreSQL and a Redis of your own; without them Sandbar starts its own, private ones.`;

/** What one start needs to know, from flags, then the environment, then defaults. @throws SetupError */
export function readSettings(argv, env = process.env) {
  let values;
  try {
    ({ values } = parseArgs({ args: argv, options: START_OPTIONS, strict: true }));
  } catch (error) {
    throw new SetupError(error.message, { mend: START_HELP, exitCode: 2 });
  }
  const dataDir = resolve(values['data-dir'] ?? env.SANDBAR_DATA_DIR ?? DEFAULT_DATA_DIR);
  const host = values.host ?? env.SANDBAR_HOST ?? '127.0.0.1';
  const port = readPort(values.port ?? env.SANDBAR_PORT ?? '8080');
  return {
    help: values.help === true,
    demo: values['no-demo'] !== true,
    prepared: values.prepared === true,
    dataDir,
    host,
    port,
    url: `http://${urlHost(host)}:${port}`,
    cgroupRoot: env.SANDBAR_CGROUP_ROOT ?? cgroupRootOf(dataDir),
    databaseUrl: valueOrFile(env, 'DATABASE_URL'),
    redisUrl: valueOrFile(env, 'REDIS_URL'),
  };
}

function readPort(text) {
  const port = Number(text);
  if (!/^\d{1,5}$/.test(text) || port < 1 || port > 65_535) throw new SetupError(`"${text}" is not a port`, { mend: 'Give a number from 1024 to 65535.', exitCode: 2 });
  return port;
}

/** Where a client on this machine reaches a listener on `host`. */
function urlHost(host) {
  if (host === '0.0.0.0' || host === '::') return '127.0.0.1';
  return host.includes(':') ? `[${host}]` : host;
}

/** Two instances on one machine never share a cgroup tree. */
export function cgroupRootOf(dataDir) {
  return dataDir === DEFAULT_DATA_DIR ? 'sandbar' : `sandbar-${createHash('sha256').update(dataDir).digest('hex').slice(0, 10)}`;
}

function valueOrFile(env, name) {
  if (env[name]) return env[name];
  const file = env[`${name}_FILE`];
  if (!file) return undefined;
  try {
    return readFileSync(file, 'utf8').trim();
  } catch (error) {
    throw new SetupError(`${name}_FILE cannot be read: ${error.message}`);
  }
}

/** Node 24 of the lock file once `npm ci` has run; before that, what runs this. */
export function nodeProgram(checkout = CHECKOUT) {
  const own = join(checkout, 'node_modules', '.bin', 'node');
  return existsSync(own) ? own : process.execPath;
}

/** Every path below the data folder that set-up and supervisor use. */
export function dataPaths(dataDir) {
  const at = (...parts) => join(dataDir, ...parts);
  return {
    marker: at('sandbar-data.json'),
    credentials: at('credentials.json'),
    secrets: at('secrets'),
    log: at('log'),
    run: at('run'),
    app: at('run', 'app'),
    pgSocketDir: at('run', 'pg'),
    redisSocket: at('run', 'redis', 'redis.sock'),
    rpcSocket: at('run', 'rpc', 'node.sock'),
    lock: at('run', 'supervisor.lock'),
    status: at('run', 'status.json'),
    pg: at('pg'),
    redis: at('redis'),
    engine: at('engine'),
  };
}
