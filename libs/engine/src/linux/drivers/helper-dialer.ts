import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdir, rm } from 'node:fs/promises';
import { createServer, type Server, type Socket } from 'node:net';
import { constants } from 'node:os';
import { join } from 'node:path';
import type { Duplex } from 'node:stream';
import { asError, CodedError, readExactly, type Logger } from '#kernel';
import type { Dialer } from '../dialer.js';
import type { ProcessIdentity } from '../proc.js';
import type { Spawner } from '../spawner.js';

const TOKEN_BYTES = 64;
const HEAD_BYTES = TOKEN_BYTES + 4;
/** The helper gives a connection up after five seconds. */
const DIAL_MS = 8_000;
/** A connection that nobody has closed by then is cut. */
const LIFE_MS = 24 * 3600 * 1000;
const LATE_MS = 1_000;
const MAX_CONNECTIONS = 1024;

export interface HelperDialerOptions {
  /** The program `sandbar-dial`. */
  readonly program: string;
  readonly spawner: Pick<Spawner, 'exec'>;
  /** Made anew, with what a crash left in it: its own. Its path is short: a socket's is at most 107 bytes. */
  readonly folder: string;
  readonly logger: Logger;
}

/**
 * One `sandbar-dial` process for each connection. It comes back over a socket in a folder of ours (0700) and shows a token that is good once, since Node.js cannot
 * take descriptors from others.
 */
export class HelperDialer implements Dialer {
  private readonly awaited = new Map<string, (socket: Socket, errno: number) => void>();
  private readonly open = new Set<Socket>();
  private dialing = 0;

  private constructor(
    private readonly server: Server,
    private readonly options: HelperDialerOptions,
  ) {
    server.on('connection', (socket) => void this.admit(socket));
  }

  static async open(options: HelperDialerOptions): Promise<HelperDialer> {
    await rm(options.folder, { recursive: true, force: true });
    await mkdir(options.folder, { mode: 0o700 });
    const server = createServer({ allowHalfOpen: true });
    server.listen(join(options.folder, 's'));
    await once(server, 'listening');
    return new HelperDialer(server, options);
  }

  async dial({ pid, startTicks }: ProcessIdentity, port: number): Promise<Duplex> {
    if (this.open.size + this.dialing >= MAX_CONNECTIONS) throw new CodedError('resource_exhausted', `at most ${MAX_CONNECTIONS} connections into sandboxes are open at once`);
    const token = randomBytes(TOKEN_BYTES / 2).toString('hex');
    const { promise, resolve, reject } = Promise.withResolvers<Duplex>();
    const timer = setTimeout(() => {
      reject(new CodedError('deadline_exceeded', `port ${port} of the sandbox does not answer`));
    }, DIAL_MS);
    this.dialing += 1;
    this.awaited.set(token, (socket, errno) => {
      if (errno === 0) resolve(socket);
      else reject(failure(errno, port));
    });
    this.options.spawner
      .exec({ argv: [this.options.program, String(pid), String(startTicks), String(port)], stdin: Buffer.from(`${token}\n${join(this.options.folder, 's')}`), timeoutMs: LIFE_MS })
      // What it said before its end may still be on its way to us.
      .then(({ exitCode }) => { setTimeout(() => { reject(new CodedError('internal', 'a connection into a sandbox could not be made', { exitCode })); }, LATE_MS).unref(); })
      .catch((error: unknown) => {
        this.options.logger.warn({ err: asError(error) }, 'sandbar-dial failed');
        reject(new CodedError('unavailable', 'a connection into a sandbox could not be made', {}, { cause: asError(error) }));
      });
    try {
      return await promise;
    } finally {
      clearTimeout(timer);
      this.awaited.delete(token);
      this.dialing -= 1;
    }
  }

  async close(): Promise<void> {
    if (!this.server.listening) return;
    const closed = once(this.server, 'close');
    this.server.close();
    for (const socket of this.open) socket.destroy();
    await closed;
    await rm(this.options.folder, { recursive: true, force: true });
  }

  /** Who shows no token that is waited for is nobody. */
  private async admit(socket: Socket): Promise<void> {
    this.open.add(socket);
    socket.on('error', () => undefined);
    socket.once('close', () => this.open.delete(socket));
    const head = await readExactly(socket, HEAD_BYTES, DIAL_MS).catch(() => undefined);
    const answer = head === undefined ? undefined : this.awaited.get(head.toString('latin1', 0, TOKEN_BYTES));
    if (head === undefined || answer === undefined) {
      socket.destroy();
      return;
    }
    const errno = head.readUInt32LE(TOKEN_BYTES);
    answer(socket, errno);
    if (errno !== 0) socket.destroy();
  }
}

function failure(errno: number, port: number): CodedError {
  const { ECONNREFUSED, ESRCH, ENOENT, ETIMEDOUT } = constants.errno;
  if (errno === ECONNREFUSED) return new CodedError('failed_precondition', `nothing listens on port ${port} of the sandbox`, { port });
  if (errno === ESRCH || errno === ENOENT) return new CodedError('not_found', 'the sandbox does not run any more');
  if (errno === ETIMEDOUT) return new CodedError('deadline_exceeded', `port ${port} of the sandbox does not answer`, { port });
  return new CodedError('unavailable', 'a connection into the sandbox could not be made', { errno });
}
