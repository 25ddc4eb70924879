import type { INestApplicationContext, WebSocketAdapter, WsMessageHandler } from '@nestjs/common';
import type { IncomingMessage, Server } from 'node:http';
import type { Duplex } from 'node:stream';
import { WebSocketServer, type WebSocket } from 'ws';
import { LOG_CLOSE_CODES } from '#contracts';
import { asError, type Logger } from '#kernel';
import { rawResponse } from '../protocols/rest/fastify-server.js';
import { contextOf } from '../protocols/rest/request-context.js';
import { toRestError, type RestError } from '../protocols/rest/rest-error.js';
import { keepAlive } from './keep-alive.js';
import { UpgradeRoute } from './upgrade-route.js';

const CLOSE_TIMEOUT_MS = 1_000;

const NOT_FOUND: RestError = { status: 404, code: 'not_found', message: 'no such WebSocket route: see /docs', details: {}, unexpected: false };
const NOT_WEBSOCKET: RestError = { status: 400, code: 'invalid_argument', message: 'this path takes WebSocket upgrades', details: {}, unexpected: false };

/**
 * WebSockets by route pattern (`/v1/runs/:id/logs`) on the HTTP server. An upgrade is decided on before it is accepted, so a refusal is
 * a plain HTTP answer; one that no route matches is answered with 404.
 */
export class RoutedWebSocketAdapter implements WebSocketAdapter<UpgradeRoute, WebSocket, { path?: string }> {
  private readonly routes: UpgradeRoute[] = [];
  /** By the size of the messages that they take. */
  private readonly accepting = new Map<number, WebSocketServer>();
  private readonly server: Server;
  private readonly onUpgrade = (message: IncomingMessage, socket: Duplex, head: Buffer): void => {
    void this.upgrade(message, socket, head);
  };

  /** `elsewhere`: upgrades that another listener of the server takes. */
  constructor(
    app: INestApplicationContext & { getHttpServer(): unknown },
    private readonly logger: Logger,
    private readonly elsewhere: (message: IncomingMessage) => boolean,
  ) {
    this.server = app.getHttpServer() as Server;
    this.server.on('upgrade', this.onUpgrade);
  }

  create(_port: number, options: { path?: string } = {}): UpgradeRoute {
    if (options.path === undefined) throw new Error('a WebSocket gateway needs a path');
    const route = new UpgradeRoute(options.path);
    this.routes.push(route);
    return route;
  }

  bindClientConnect(route: UpgradeRoute, callback: (socket: WebSocket, admitted: unknown) => void): void {
    route.on('connection', callback);
  }

  bindClientDisconnect(socket: WebSocket, callback: (reason: number) => void): void {
    socket.once('close', callback);
  }

  /** By Nest: none. A gateway whose clients have something to say listens to the socket itself; of others what they say is dropped. */
  bindMessageHandlers(_socket: WebSocket, handlers: WsMessageHandler[]): void {
    if (handlers.length > 0) throw new Error('these WebSocket routes take no messages');
  }

  /** Tells every client to come back, and cuts those that do not say goodbye in time. */
  async close(route: UpgradeRoute): Promise<void> {
    await Promise.all([...route.sockets].map((socket) => goodbye(socket)));
  }

  dispose(): Promise<void> {
    this.server.off('upgrade', this.onUpgrade);
    return Promise.resolve();
  }

  private async upgrade(message: IncomingMessage, socket: Duplex, head: Buffer): Promise<void> {
    if (this.elsewhere(message)) return;
    // A peer that resets while we decide must not end the process.
    const ignore = (): void => undefined;
    socket.on('error', ignore);
    try {
      const { path, query } = targetOf(message.url ?? '/');
      const found = this.find(path);
      if (found === undefined) {
        this.refuse(message, socket, NOT_FOUND);
        return;
      }
      if (message.headers.upgrade?.toLowerCase() !== 'websocket') {
        this.refuse(message, socket, NOT_WEBSOCKET);
        return;
      }
      const admitted = await found.route.decide({ message, parameters: found.parameters, query });
      socket.off('error', ignore);
      // The answer and what a route says at once leave together.
      socket.cork();
      process.nextTick(() => { socket.uncork(); });
      this.acceptorOf(found.route).handleUpgrade(message, socket, head, (accepted) => {
        this.accept(found.route, accepted, admitted);
      });
    } catch (error) {
      const refusal = toRestError(error);
      if (refusal.unexpected) this.logger.error({ err: asError(error), requestId: contextOf(message).id }, 'deciding on an upgrade failed unexpectedly');
      this.refuse(message, socket, refusal);
    }
  }

  private acceptorOf({ maxMessageBytes: maxPayload }: UpgradeRoute): WebSocketServer {
    const known = this.accepting.get(maxPayload) ?? new WebSocketServer({ noServer: true, maxPayload, perMessageDeflate: false, clientTracking: false });
    this.accepting.set(maxPayload, known);
    return known;
  }

  private accept(route: UpgradeRoute, socket: WebSocket, admitted: unknown): void {
    route.sockets.add(socket);
    socket.once('close', () => route.sockets.delete(socket));
    socket.on('error', (error) => {
      this.logger.debug({ err: error }, 'a WebSocket failed');
    });
    keepAlive(socket);
    route.emit('connection', socket, admitted);
  }

  private refuse(message: IncomingMessage, socket: Duplex, error: RestError): void {
    const { id, caller } = contextOf(message);
    this.logger.info({ requestId: id, tenantId: caller?.tenant?.id, status: error.status, error: error.code, method: 'GET', upgrade: true }, 'request');
    if (!socket.writable) return;
    socket.end(rawResponse(error, id), () => socket.destroy());
  }

  private find(path: string) {
    for (const route of this.routes) {
      const parameters = route.pattern.match(path);
      if (parameters !== undefined) return { route, parameters };
    }
    return undefined;
  }
}

function targetOf(target: string): { path: string; query: URLSearchParams } {
  const mark = target.indexOf('?');
  return mark === -1 ? { path: target, query: new URLSearchParams() } : { path: target.slice(0, mark), query: new URLSearchParams(target.slice(mark + 1)) };
}

function goodbye(socket: WebSocket): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => {
      socket.terminate();
    }, CLOSE_TIMEOUT_MS);
    socket.once('close', () => {
      clearTimeout(timer);
      resolve();
    });
    if (socket.readyState === socket.CLOSED) socket.emit('close');
    else socket.close(LOG_CLOSE_CODES.unavailable, 'the gateway goes down: reconnect with ?after=');
  });
}
