import { RouteConfig } from '@nestjs/platform-fastify';
import type { FastifyContextConfig, FastifyInstance, FastifyRequest } from 'fastify';
import { Readable } from 'node:stream';
import { CodedError } from '#kernel';
import { readAway } from './read-away.js';

const MARK = 'takesSigned';
/** Stands for whatever type such a body says to have: only its bytes count, since they are what is signed. */
const TYPE = 'application/vnd.sandbar.signed';

/** For routes that nobody needs a key for, because the body shows who sent it. Its bytes are handed on as they come: the route bounds and checks them. */
export const TakesSigned = (): MethodDecorator => RouteConfig({ [MARK]: true });

/** `drainMs`: as for archives. */
export function acceptSignedBodies(instance: FastifyInstance, drainMs: number): void {
  instance.addContentTypeParser(TYPE, (request: FastifyRequest, payload: Readable, done: (error: Error | null, body?: Readable) => void) => {
    if (takesSigned(request)) done(null, payload);
    else done(Object.assign(new Error('the body is to be JSON'), { statusCode: 415 }));
  });
  instance.addHook('onRequest', (request, reply, done) => {
    if (takesSigned(request)) {
      readAway(request.raw, reply.raw, drainMs);
      request.headers['content-type'] = TYPE;
    }
    done();
  });
}

export function takesSigned(request: FastifyRequest): boolean {
  return (request.routeOptions.config as FastifyContextConfig & { [MARK]?: true })[MARK] === true;
}

/** undefined: there is none. @throws CodedError `internal` (the route does not take such bodies) */
export function signedBody({ body }: FastifyRequest): Readable | undefined {
  if (body === undefined || body === null || body instanceof Readable) return body ?? undefined;
  throw new CodedError('internal', 'a signed body was parsed before it was checked');
}
