import { createHash, timingSafeEqual } from 'node:crypto';
import { once } from 'node:events';
import { chmod, chown, lstat, rm } from 'node:fs/promises';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { CodedError, errnoOf, newId, type Logger } from '#kernel';
import { rpcError } from './rpc-errors.js';

export type RpcListen = { readonly kind: 'unix'; readonly path: string } | { readonly kind: 'tcp'; readonly host: string; readonly port: number };

export interface RpcServerOptions {
  readonly listen: RpcListen;
  /** Who may connect to the Unix socket besides root; undefined: nobody. */
  readonly groupId: number | undefined;
  readonly token: string;
  readonly routes: readonly RpcRoute[];
  readonly logger: Logger;
}

export interface RpcRoute {
  readonly method: 'GET' | 'POST';
  /** Matched against the whole path; its groups are handed on. */
  readonly path: RegExp;
  readonly handle: (request: RpcRequest) => Promise<unknown>;
}

export interface RpcRequest {
  readonly groups: readonly string[];
  /** Undefined when the body is empty. @throws CodedError `invalid_argument`, `payload_too_large` */
  readonly json: () => Promise<unknown>;
}

/** 1 MiB of text whose every character is escaped (`\u0000`), and the rest of the object. */
const MAX_BODY_BYTES = 6 * 1024 * 1024 + 4096;

/** The node's private HTTP interface: gateways only, each request with the shared token. */
export class RpcServer {
  private readonly server: Server;
  private readonly tokenHash: Buffer;

  constructor(private readonly options: RpcServerOptions) {
    this.tokenHash = hash(options.token);
    this.server = createServer((request, response) => void this.answer(request, response));
    this.server.headersTimeout = 10_000;
    this.server.requestTimeout = 60_000;
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
    await closed;
  }

  private async answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const given = request.headers['x-request-id'];
    const requestId = typeof given === 'string' && /^[\w-]{1,64}$/.test(given) ? given : newId('request');
    try {
      this.authenticate(request);
      send(response, 200, (await this.route(request)) ?? {});
    } catch (error) {
      const { status, body } = rpcError(error, requestId, this.options.logger);
      // What was not read of the body would be taken for the next request.
      if (!request.complete) response.setHeader('connection', 'close');
      send(response, status, body);
    }
  }

  private authenticate(request: IncomingMessage): void {
    const token = /^Bearer ([\x21-\x7e]+)$/.exec(request.headers.authorization ?? '')?.[1];
    if (token === undefined || !timingSafeEqual(hash(token), this.tokenHash)) throw new CodedError('unauthenticated', 'a node token is needed');
  }

  private route(request: IncomingMessage): Promise<unknown> {
    const path = request.url ?? '';
    for (const route of this.options.routes) {
      const match = route.method === request.method ? route.path.exec(path) : null;
      if (match?.[0] === path) return route.handle({ groups: match.slice(1), json: () => readJson(request) });
    }
    throw new CodedError('not_found', 'no such node RPC');
  }
}

function hash(token: string): Buffer {
  return createHash('sha256').update(token).digest();
}

function send(response: ServerResponse, status: number, body: unknown): void {
  if (response.destroyed || response.headersSent) return;
  const text = JSON.stringify(body);
  response.writeHead(status, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) });
  response.end(text);
}

async function readJson(request: IncomingMessage): Promise<unknown> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > MAX_BODY_BYTES) throw new CodedError('payload_too_large', `a body holds at most ${MAX_BODY_BYTES} bytes`);
    chunks.push(chunk);
  }
  if (bytes === 0) return undefined;
  try {
    return JSON.parse(Buffer.concat(chunks).toString('utf8'));
  } catch {
    throw new CodedError('invalid_argument', 'the body is not JSON');
  }
}

/** What a killed worker left. Anything but a socket is not ours to remove: listening then fails. */
async function removeStaleSocket(path: string): Promise<void> {
  try {
    if ((await lstat(path)).isSocket()) await rm(path, { force: true });
  } catch (error) {
    if (errnoOf(error) !== 'ENOENT') throw error;
  }
}
