import type { Server as HttpServer } from 'node:http';
import type { Socket } from 'node:net';
import { createServer, type Server as TlsServer } from 'node:tls';
import type { Logger } from '#kernel';
import type { TlsIdentity } from './tls-identity.js';

const HANDSHAKE = 0x16;
const RENEW_MS = 24 * 3600 * 1000;
const MAX_TIMER_MS = 15_000;

export interface TlsListenerOptions {
  readonly identity: TlsIdentity;
  /** Names and addresses by which clients reach this server. */
  readonly names: readonly string[];
  /** A connection that has said nothing, or has not ended its handshake, after this time is closed. */
  readonly firstByteMs?: number;
  readonly logger: Logger;
  now(): number;
}

/**
 * HTTP and TLS on one port. The first byte of a connection tells: a TLS handshake record begins with 0x16, no HTTP request does. What was under TLS comes to the
 * same HTTP server as a decrypted connection, so routes, upgrades and limits are one.
 */
export class TlsListener {
  private readonly undecided = new Map<string, Socket>();
  private readonly tls: TlsServer;
  private readonly renewal: NodeJS.Timeout;

  constructor(
    http: HttpServer,
    private readonly options: TlsListenerOptions,
  ) {
    const serve = http.listeners('connection') as ((socket: Socket) => void)[];
    http.removeAllListeners('connection');
    const decrypted = (socket: Socket): void => {
      for (const listener of serve) listener.call(http, socket);
    };
    // Docker's client closes its half of a hijacked connection at once: without half-open sockets the other half would go with it.
    this.tls = createServer({ ...this.context(), allowHalfOpen: true, requestCert: true, rejectUnauthorized: false, minVersion: 'TLSv1.2', ALPNProtocols: ['http/1.1'], handshakeTimeout: this.limitMs }, (socket) => {
      this.undecided.delete(peerOf(socket));
      decrypted(socket);
    });
    this.tls.on('tlsClientError', (error, socket) => {
      this.options.logger.debug({ error: error.message }, 'a TLS handshake failed');
      socket.destroy();
    });
    this.renewal = setInterval(() => {
      this.tls.setSecureContext(this.context());
    }, RENEW_MS);
    this.renewal.unref();
    http.on('connection', (socket: Socket) => {
      this.decide(socket, decrypted);
    });
    http.once('close', () => {
      clearInterval(this.renewal);
    });
  }

  /** Connections of which nothing is known yet: no request can be in work on them. */
  closeUndecided(): void {
    for (const socket of this.undecided.values()) socket.destroy();
  }

  private decide(socket: Socket, decrypted: (socket: Socket) => void): void {
    const peer = peerOf(socket);
    this.undecided.set(peer, socket);
    const timer = setTimeout(() => socket.destroy(), this.limitMs);
    const forget = (): void => {
      clearTimeout(timer);
      this.undecided.delete(peer);
    };
    const leave = (): void => {
      socket.destroy();
    };
    const ignore = (): void => undefined;
    socket.on('error', ignore);
    socket.once('close', forget);
    socket.once('end', leave);
    socket.once('data', (first: Buffer) => {
      clearTimeout(timer);
      socket.pause();
      socket.unshift(first);
      socket.off('error', ignore);
      socket.off('end', leave);
      if (first[0] === HANDSHAKE) {
        this.tls.emit('connection', socket);
      } else {
        forget();
        decrypted(socket);
      }
      // Once its new reader listens.
      process.nextTick(() => {
        socket.resume();
      });
    });
  }

  private get limitMs(): number {
    return this.options.firstByteMs ?? MAX_TIMER_MS;
  }

  private context() {
    const { identity, names } = this.options;
    const { certificatePem, keyPem } = identity.server(names, this.options.now());
    return { cert: certificatePem, key: keyPem, ca: identity.authorityPem };
  }
}

/** The same for a connection and for what was decrypted from it. */
function peerOf(socket: Socket): string {
  return `${socket.remoteAddress ?? ''} ${socket.remotePort ?? ''}`;
}
