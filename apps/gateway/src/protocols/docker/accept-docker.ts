import type { FastifyInstance } from 'fastify';
import { readAway } from '../rest/read-away.js';
import { assertVersion, DOCKER_CONTENT, isDockerRequest } from './routing.js';
import { serverHeaders } from './system-views.js';

/**
 * What all of Docker's routes have in common, before anything is looked at: the headers by which clients know the engine, the range of versions,
 * and bodies that stay streams until their route reads them. What a route leaves unread is read away for `drainMs` after its answer, so that the client
 * gets the answer and not a reset.
 */
export function acceptDocker(instance: FastifyInstance, drainMs: number): void {
  instance.addContentTypeParser(DOCKER_CONTENT, (_request, payload, done) => {
    done(null, payload);
  });
  // Docker's Go client reads an error only from exactly this type; Fastify adds the character set.
  instance.addHook('onSend', (request, reply, payload, done) => {
    if (isDockerRequest(request.raw) && String(reply.getHeader('content-type')).startsWith('application/json')) void reply.header('content-type', 'application/json');
    done(null, payload);
  });
  instance.addHook('onRequest', (request, reply, done) => {
    const { raw } = request;
    if (!isDockerRequest(raw)) {
      done();
      return;
    }
    void reply.headers(serverHeaders());
    readAway(raw, reply.raw, drainMs);
    try {
      assertVersion(raw);
      done();
    } catch (error) {
      done(error as Error);
    }
  });
}
