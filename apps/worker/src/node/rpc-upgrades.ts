import { STATUS_CODES, type IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { TUNNEL_PROTOCOL } from '#contracts';
import { asError, CodedError, newId, readExactly, type Logger } from '#kernel';
import { rpcError } from './rpc-errors.js';

/** A request for an upgraded connection. */
export interface RpcUpgradeRequest {
  readonly groups: readonly string[];
  readonly query: URLSearchParams;
  /** Undefined when the body is empty. @throws CodedError `invalid_argument` */
  readonly json: () => Promise<unknown>;
  /** Fires when the caller goes away before it has its answer. */
  readonly signal: AbortSignal;
}

export interface RpcUpgradeRoute {
  /** Matched against the whole path, without the query string; its groups are handed on. */
  readonly path: RegExp;
  /** What it throws is an answer with a status, as of every route; when it resolves the caller is told 101. */
  readonly open: (request: RpcUpgradeRequest) => Promise<RpcTunnel>;
}

/** Bytes both ways behind a 101. */
export interface RpcTunnel {
  /** Told with the 101. */
  readonly headers: Readonly<Record<string, string>>;
  /** Has the connection until it resolves, with all that it wrote gone out; then it is closed. To be called once, unless `abandon` is. */
  run(socket: Duplex): Promise<void>;
  /** The caller went away before the 101. */
  abandon(): void;
}

/** What was written has left; the other side has this time to hand it on and to close. It takes a connection that is closed before for one that was cut. */
const LEAVE_MS = 120_000;
/** Arguments and variables of one program, every character escaped. */
const MAX_BODY_BYTES = 16 * 1024 * 1024;
const BODY_MS = 60_000;

/** Upgraded connections of the node's private interface: `POST` with `Upgrade: sandbar-stream`. Half-open: either side may end its half first. */
export class RpcUpgrades {
  private readonly open = new Set<Duplex>();

  constructor(
    private readonly routes: readonly RpcUpgradeRoute[],
    /** @throws CodedError `unauthenticated` */
    private readonly authenticate: (message: IncomingMessage) => void,
    private readonly logger: Logger,
  ) {}

  /** Never throws. `head`: what came behind the request. */
  async accept(message: IncomingMessage, socket: Duplex, head: Buffer): Promise<void> {
    const gone = new AbortController();
    this.open.add(socket);
    const hangUp = (): void => {
      gone.abort(new CodedError('cancelled', 'the caller went away'));
    };
    socket.on('error', () => undefined);
    socket.once('close', hangUp).once('close', () => this.open.delete(socket));
    if (head.length > 0) socket.unshift(head);
    let tunnel: RpcTunnel;
    try {
      this.authenticate(message);
      tunnel = await this.find(message, socket, gone.signal);
    } catch (error) {
      this.refuse(socket, error);
      return;
    }
    socket.off('close', hangUp);
    if (socket.destroyed) {
      tunnel.abandon();
      return;
    }
    socket.write(headOf('101 Switching Protocols', { connection: 'Upgrade', upgrade: TUNNEL_PROTOCOL, ...tunnel.headers }));
    try {
      await tunnel.run(socket);
      leave(socket);
    } catch (error) {
      this.logger.error({ err: asError(error) }, 'a tunnel of node RPC failed');
      socket.destroy();
    }
  }

  /** Cuts them all: the server waits for none of its own. */
  closeAll(): void {
    for (const socket of this.open) socket.destroy();
  }

  private find(message: IncomingMessage, socket: Duplex, signal: AbortSignal): Promise<RpcTunnel> {
    const [path = '', query = ''] = (message.url ?? '').split('?', 2);
    if (message.headers.upgrade?.toLowerCase() !== TUNNEL_PROTOCOL || message.method !== 'POST') throw new CodedError('invalid_argument', `upgrades are POST, to ${TUNNEL_PROTOCOL}`);
    for (const route of this.routes) {
      const match = route.path.exec(path);
      if (match?.[0] === path) return route.open({ groups: match.slice(1), query: new URLSearchParams(query), json: () => readBody(message, socket), signal });
    }
    throw new CodedError('not_found', 'no such node RPC');
  }

  private refuse(socket: Duplex, error: unknown): void {
    const { status, body } = rpcError(error, newId('request'), this.logger);
    const text = JSON.stringify(body);
    if (socket.writable) {
      socket.end(headOf(`${status} ${STATUS_CODES[status] ?? 'Error'}`, { 'content-type': 'application/json', 'content-length': String(Buffer.byteLength(text)), connection: 'close' }) + text);
    }
    leave(socket);
  }
}

/** Node hands an upgrade over with its headers: the body is the beginning of what follows. */
async function readBody(message: IncomingMessage, socket: Duplex): Promise<unknown> {
  const length = Number(message.headers['content-length'] ?? 0);
  if (length > MAX_BODY_BYTES) throw new CodedError('payload_too_large', `a body holds at most ${MAX_BODY_BYTES} bytes`);
  const body = await readExactly(socket, length, BODY_MS);
  if (length === 0) return undefined;
  try {
    return JSON.parse(body.toString('utf8'));
  } catch {
    throw new CodedError('invalid_argument', 'the body is not JSON');
  }
}

function headOf(status: string, headers: Readonly<Record<string, string>>): string {
  return `HTTP/1.1 ${status}\r\n${Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`).join('')}\r\n`;
}

/** Our half is ended; what still comes is thrown away. */
function leave(socket: Duplex): void {
  if (socket.destroyed) return;
  const cut = setTimeout(() => socket.destroy(), LEAVE_MS);
  cut.unref();
  socket.once('close', () => {
    clearTimeout(cut);
  });
  if (!socket.writableEnded) socket.end();
  socket.resume();
}
