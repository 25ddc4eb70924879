import type { FastifyInstance, FastifyRequest } from 'fastify';
import { answerClientError } from './fastify-server.js';

const WITH_BODY = new Set(['POST', 'PUT', 'PATCH', 'DELETE']);

/**
 * A request whose body is not there in time is answered with 408. Node's own clock would run for every request of the server, and an image takes
 * as long as it takes: `exempt` requests watch their bodies themselves.
 */
export function limitBodyTime(instance: FastifyInstance, limitMs: number, exempt: (request: FastifyRequest) => boolean): void {
  instance.addHook('onRequest', (request, _reply, done) => {
    const { raw } = request;
    if (WITH_BODY.has(request.method) && !raw.complete && !exempt(request)) {
      const timer = setTimeout(() => {
        if (!raw.complete) answerClientError(Object.assign(new Error('the request did not arrive in time'), { code: 'ERR_HTTP_REQUEST_TIMEOUT' }), raw.socket);
      }, limitMs);
      timer.unref();
      raw.once('end', () => {
        clearTimeout(timer);
      });
      raw.once('close', () => {
        clearTimeout(timer);
      });
    }
    done();
  });
}
