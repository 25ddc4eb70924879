import { createHash, timingSafeEqual } from 'node:crypto';
import { once } from 'node:events';
import { chmod, chown, lstat, rm } from 'node:fs/promises';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import { CodedError, errnoOf, isCodedError, newId, type Logger } from '#kernel';
import { RpcBytes, RpcLater, RpcLines, sendBytes, sendJson, sendLater, sendLines } from './rpc-answers.js';
import { readJson, streamBody } from './rpc-bodies.js';
import { rpcError } from './rpc-errors.js';
import { RpcUpgrades, type RpcUpgradeRoute } from './rpc-upgrades.js';

export type RpcListen = { readonly kind: 'unix'; readonly path: string } | { readonly kind: 'tcp'; readonly host: string; readonly port: number };

export interface RpcServerOptions {
  readonly listen: RpcListen;
  /** Who may connect to the Unix socket besides root; undefined: nobody. */
  readonly groupId: number | undefined;
  readonly token: string;
  readonly routes: readonly RpcRoute[];
  readonly upgrades?: readonly RpcUpgradeRoute[];
  readonly logger: Logger;
  /** Streams, both ways: nothing moving for so long ends them. Default 60 s. */
  readonly stallMs?: number;
}

export interface RpcRoute {
  readonly method: 'GET' | 'POST' | 'PUT' | 'DELETE';
  /** Matched against the whole path, without the query string; its groups are handed on. */
  readonly path: RegExp;
  /** Gives JSON, or one of the streamed answers: `RpcBytes`, `RpcLines`, `RpcLater`. */
  readonly handle: (request: RpcRequest) => Promise<unknown>;
}

export interface RpcRequest {
  readonly groups: readonly string[];
  readonly query: URLSearchParams;
  readonly header: (name: string) => string | undefined;
  /** Fires when the caller goes away before it has the whole answer. */
  readonly signal: AbortSignal;
  /** Streamed, of any length. @throws CodedError `deadline_exceeded` (it stalls), `cancelled` (the sender went away) */
  readonly body: () => AsyncIterable<Buffer>;
  /** Undefined when the body is empty. @throws CodedError `invalid_argument`, `payload_too_large` */
  readonly json: () => Promise<unknown>;
}

const STALL_MS = 60_000;
/** A sender that was refused in the middle of its body has this time to stop. */
const LINGER_MS = 2000;

/** The node's private HTTP interface: gateways only, each request with the shared token. */
export class RpcServer {
  private readonly server: Server;
  private readonly tokenHash: Buffer;
  private readonly upgrades: RpcUpgrades;
  private readonly stallMs: number;

  constructor(private readonly options: RpcServerOptions) {
    this.stallMs = options.stallMs ?? STALL_MS;
    this.tokenHash = hash(options.token);
    this.server = createServer((request, response) => void this.answer(request, response));
    this.upgrades = new RpcUpgrades(options.upgrades ?? [], (message) => { this.authenticate(message); }, options.logger);
    this.server.on('upgrade', (message: IncomingMessage, socket: Duplex, head: Buffer) => void this.upgrades.accept(message, socket, head));
    // Gateways keep connections ready for tunnels to come, and use none that is as old as this.
    this.server.headersTimeout = 60_000;
    // Uploads take as long as they take: `readJson` and `streamBody` have limits of their own.
    this.server.requestTimeout = 0;
    this.server.keepAliveTimeout = 60_000;
    this.server.maxConnections = 4096;
  }

  /** Gives the URL gateways are told: `unix:/path` or `http://host:port`. */
  async start(): Promise<string> {
    const { listen, groupId } = this.options;
    if (listen.kind === 'tcp') {
      this.server.listen(listen.port, listen.host);
      await once(this.server, 'listening');
      const { port } = this.server.address() as AddressInfo;
      return `http://${listen.host.includes(':') ? `[${listen.host}]` : listen.host}:${port}`;
    }
    await removeStaleSocket(listen.path);
    this.server.listen(listen.path);
    await once(this.server, 'listening');
    if (groupId !== undefined) await chown(listen.path, process.getuid?.() ?? 0, groupId);
    await chmod(listen.path, groupId === undefined ? 0o600 : 0o660);
    return `unix:${listen.path}`;
  }

  /** Idempotent. Requests in hand are cut off. */
  async stop(): Promise<void> {
    if (!this.server.listening) return;
    const closed = once(this.server, 'close');
    this.server.close();
    this.server.closeAllConnections();
    this.upgrades.closeAll();
    await closed;
  }

  private async answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const given = request.headers['x-request-id'];
    const requestId = typeof given === 'string' && /^[\w-]{1,64}$/.test(given) ? given : newId('request');
    const gone = new AbortController();
    response.on('error', () => undefined);
    response.once('close', () => {
      if (!response.writableFinished) gone.abort(new CodedError('cancelled', 'the caller went away'));
    });
    try {
      this.authenticate(request);
      await this.send(response, (await this.route(request, gone.signal)) ?? {});
    } catch (error) {
      const { status, body } = gone.signal.aborted && isCodedError(error, 'cancelled') ? CANCELLED : rpcError(error, requestId, this.options.logger);
      sendJson(response, status, body);
    } finally {
      if (!request.complete) this.linger(request);
    }
  }

  private async send(response: ServerResponse, result: unknown): Promise<void> {
    const options = { stallMs: this.stallMs, logger: this.options.logger };
    if (result instanceof RpcBytes) await sendBytes(response, result, options);
    else if (result instanceof RpcLines) await sendLines(response, result, options);
    else if (result instanceof RpcLater) await sendLater(response, result, options);
    else sendJson(response, 200, result);
  }

  /** The rest of a body that nobody reads is thrown away for a while, so that the sender can read the answer; then the connection is cut. */
  private linger(request: IncomingMessage): void {
    const timer = setTimeout(() => request.destroy(), LINGER_MS);
    timer.unref();
    request.on('error', () => undefined);
    request.once('close', () => {
      clearTimeout(timer);
    });
    request.resume();
  }

  private authenticate(request: IncomingMessage): void {
    const token = /^Bearer ([\x21-\x7e]+)$/.exec(request.headers.authorization ?? '')?.[1];
    if (token === undefined || !timingSafeEqual(hash(token), this.tokenHash)) throw new CodedError('unauthenticated', 'a node token is needed');
  }

  private route(request: IncomingMessage, signal: AbortSignal): Promise<unknown> {
    const url = request.url ?? '';
    const mark = url.indexOf('?');
    const path = mark < 0 ? url : url.slice(0, mark);
    for (const route of this.options.routes) {
      const match = route.method === request.method ? route.path.exec(path) : null;
      if (match?.[0] !== path) continue;
      return route.handle({
        groups: match.slice(1),
        query: new URLSearchParams(mark < 0 ? '' : url.slice(mark + 1)),
        header: (name) => {
          const value = request.headers[name];
          return typeof value === 'string' ? value : undefined;
        },
        signal,
        body: () => streamBody(request, this.stallMs),
        json: () => readJson(request),
      });
    }
    throw new CodedError('not_found', 'no such node RPC');
  }
}

const CANCELLED = { status: 499, body: {} };

function hash(token: string): Buffer {
  return createHash('sha256').update(token).digest();
}

/** What a killed worker left. Anything but a socket is not ours to remove: listening then fails. */
async function removeStaleSocket(path: string): Promise<void> {
  try {
    if ((await lstat(path)).isSocket()) await rm(path, { force: true });
  } catch (error) {
    if (errnoOf(error) !== 'ENOENT') throw error;
  }
}
