import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { existsSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { ensureFolder, ensureSecret, ensureValue } from '../data-folder.mjs';
import { CHECKOUT } from '../settings.mjs';
import { asAccountInApp, asRoot, serviceEnv } from './launch.mjs';

const node = (root) => join(root, 'node_modules', '.bin', 'node');
const main = (root, app, file = 'main') => join(root, 'dist', 'apps', app, 'src', `${file}.js`);
/**
 * Memory for speed that neither app needs. V8's young generation grows to 48 MiB by default, and the buffers of a stream die in it long after their use. glibc
 * keeps what was freed: in an arena for each thread, and, because its thresholds follow the largest block that was freed, the buffers of a stream too; a
 * threshold that is set stays (mallopt(3)). Source maps stay out: all of them lie in memory, and the compiled lines read like their sources. The apps say when
 * the buffers of streams can go (`StreamGarbage`). Measured by `npm run bench:storage`, `bench:images --big` and `bench:containers`.
 */
const NODE_FLAGS = ['--max-semi-space-size=1', '--optimize-for-size', '--expose-gc'];
/** The gateway passes bytes on and waits: its code is never hot enough to earn back what the last compiler and the database client's machine code take. */
const GATEWAY_FLAGS = [...NODE_FLAGS, '--no-turbofan', '--wasm-lazy-compilation', '--liftoff-only', '--no-compilation-cache'];
const NODE_ENVIRONMENT = { MALLOC_ARENA_MAX: '2', MALLOC_MMAP_THRESHOLD_: '65536', MALLOC_TRIM_THRESHOLD_: '65536' };

/** The worker's environment is also that of the programs that work on its engine's store. */
export function workerEnv({ paths, settings, accounts, redisUrl }) {
  return serviceEnv({
    ...NODE_ENVIRONMENT,
    ...(redisUrl ? { REDIS_URL: redisUrl } : {}),
    SANDBAR_DATA_DIR: settings.dataDir,
    SANDBAR_NODE_ID: ensureValue(paths, 'node-id', newNodeId),
    SANDBAR_NODE_RPC_LISTEN: `unix:${paths.rpcSocket}`,
    ...(accounts ? { SANDBAR_NODE_RPC_GROUP: String(accounts.gateway.gid) } : {}),
    SANDBAR_NODE_RPC_TOKEN: ensureSecret(paths, 'node-rpc-token'),
    SANDBAR_CGROUP_ROOT: settings.cgroupRoot,
    SANDBAR_NATIVE_DIR: join(CHECKOUT, 'dist', 'native'),
  });
}

/** The node agent. Root: it makes sandboxes. When it is killed they live on, and it takes them up again when it is back. */
export function workerService(context) {
  const { paths, accounts } = context;
  return {
    name: 'worker',
    stopSignal: 'SIGTERM',
    stopTimeoutMs: 60_000,
    /** Sandboxes outlive it: only its own stop ends them. */
    tidiesUp: true,
    async prepare() {
      ensureFolder(dirname(paths.rpcSocket), 0o750, { uid: 0, gid: accounts.gateway.gid });
      // Of a worker that was killed: its presence would pass for the new one's.
      rmSync(paths.rpcSocket, { force: true });
    },
    command: () => ({ argv: asRoot([node(CHECKOUT), ...NODE_FLAGS, main(CHECKOUT, 'worker')], 'KILL'), env: workerEnv(context), cwd: CHECKOUT }),
    isReady: async () => existsSync(paths.rpcSocket),
  };
}

function gatewayEnv({ paths, settings, databaseUrl, redisUrl }) {
  return serviceEnv({
    ...NODE_ENVIRONMENT,
    DATABASE_URL: databaseUrl,
    REDIS_URL: redisUrl,
    SANDBAR_HOST: settings.host,
    SANDBAR_PORT: String(settings.port),
    SANDBAR_NODE_RPC_TOKEN: ensureSecret(paths, 'node-rpc-token'),
    SANDBAR_TLS_AUTHORITY: ensureValue(paths, 'tls-authority', newAuthority),
  });
}

/** The certificate authority of this installation: clients know its servers by it, for as long as it stays. */
function newAuthority() {
  return execFileSync(node(CHECKOUT), [main(CHECKOUT, 'gateway', 'main-authority')], { encoding: 'utf8' });
}

/** The public edge, as a user that owns nothing. */
export function gatewayService(context) {
  const { settings } = context;
  return {
    name: 'gateway',
    stopSignal: 'SIGTERM',
    stopTimeoutMs: 15_000,
    async prepare() {},
    command: () => gatewayProgram(context, 'main'),
    isReady: () => answers(`${settings.url}/health/live`),
  };
}

/** One of the gateway's programs (`main`, `main-migrate`, `main-bootstrap`) with the gateway's rights. */
export function gatewayProgram(context, file) {
  const { app } = context.paths;
  return { argv: asAccountInApp(context.accounts.gateway, app, [node(app), ...GATEWAY_FLAGS, main(app, 'gateway', file)], 'KILL'), env: gatewayEnv(context) };
}

export async function answers(url) {
  try {
    const answer = await fetch(url, { signal: AbortSignal.timeout(2000) });
    await answer.arrayBuffer();
    return answer.ok;
  } catch {
    return false;
  }
}

const DIGITS = '0123456789abcdefghjkmnpqrstvwxyz';

/** As libs/kernel makes ids, which is not built when set-up begins: 26 digits of base 32, the first below 8. */
function newNodeId() {
  const bytes = randomBytes(26);
  return `nod_${[...bytes].map((byte, index) => DIGITS[index === 0 ? byte & 7 : byte & 31]).join('')}`;
}
