import type { FastifyInstance } from 'fastify';
import type { Server } from 'node:http';

const LOOK_INTERVAL_MS = 20;

/**
 * Closes the connections of a stopping server as soon as no request is in work. Node itself closes those that have served a request and
 * then waits for those on which none has come yet, which clients open ahead of need and keep.
 */
export class ConnectionDrain {
  private inWork = 0;
  private closeOthers: () => void = () => undefined;

  constructor(instance: FastifyInstance) {
    // Not by the hook onResponse: it does not run when the caller hangs up.
    instance.addHook('onRequest', (_request, reply, done) => {
      this.inWork += 1;
      reply.raw.once('close', () => {
        this.inWork -= 1;
      });
      done();
    });
  }

  /** Connections that the server does not know yet. */
  closeAlso(close: () => void): void {
    this.closeOthers = close;
  }

  /** Runs beside the server's own closing. At `graceMs` the requests that are still in work are cut. */
  async alongside(server: Server, graceMs: number, closing: Promise<void>): Promise<void> {
    const limit = performance.now() + graceMs;
    const timer = setInterval(() => {
      if (server.listening || (this.inWork > 0 && performance.now() <= limit)) return;
      server.closeAllConnections();
      this.closeOthers();
    }, LOOK_INTERVAL_MS);
    try {
      await closing;
    } finally {
      clearInterval(timer);
    }
  }
}
