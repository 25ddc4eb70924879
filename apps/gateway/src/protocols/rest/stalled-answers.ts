import type { FastifyInstance } from 'fastify';
import { Readable } from 'node:stream';

/**
 * An answer that is at hand lies in memory until its client has read it: one that takes nothing for `stallMs` is cut. The socket's own
 * timer knows of bytes that the kernel has taken, and Node sets it back for the next request. Streams watch themselves: theirs may
 * have nothing to say for long.
 */
export function cutStalledAnswers(instance: FastifyInstance, stallMs: number): void {
  instance.addHook('onSend', (_request, reply, payload, done) => {
    if (!(payload instanceof Readable)) reply.raw.socket?.setTimeout(stallMs);
    done(null, payload);
  });
}
