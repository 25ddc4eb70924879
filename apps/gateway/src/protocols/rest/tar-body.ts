import type { StandardSchemaV1 } from '@standard-schema/spec';
import type { FastifyContextConfig, FastifyInstance, FastifyRequest } from 'fastify';
import { Readable } from 'node:stream';
import { RouteConfig } from '@nestjs/platform-fastify';
import { CodedError } from '#kernel';
import { readAway } from './read-away.js';

const TYPES = ['application/x-tar', 'application/tar', 'application/gzip', 'application/zstd', 'application/octet-stream'];
const MARK = 'takesTar';
const ANY_MARK = 'takesAnyBytes';
const ANY = 'application/octet-stream';

/** For routes whose body is an archive: it is not read into memory, has no limit to its length, and as much time as it keeps moving. */
export const TakesTar = (): MethodDecorator => RouteConfig({ [MARK]: true });

/** As `TakesTar`, for bodies of any type: what they say they are is not looked at. */
export const TakesBytes = (): MethodDecorator => RouteConfig({ [MARK]: true, [ANY_MARK]: true });

/** `drainMs`: how long the rest of a body that nobody wants is read away, so that its sender gets the answer and not a reset. */
export function acceptTarBodies(instance: FastifyInstance, drainMs: number): void {
  instance.addContentTypeParser(TYPES, (request: FastifyRequest, payload: Readable, done: (error: Error | null, body?: Readable) => void) => {
    if (takesTar(request)) done(null, payload);
    else done(Object.assign(new Error('the body is to be JSON'), { statusCode: 415 }));
  });
  instance.addHook('onRequest', (request, reply, done) => {
    if (takesTar(request)) readAway(request.raw, reply.raw, drainMs);
    if (isMarked(request, ANY_MARK)) request.headers['content-type'] = ANY;
    done();
  });
}

export function takesTar(request: FastifyRequest): boolean {
  return isMarked(request, MARK);
}

function isMarked(request: FastifyRequest, mark: typeof MARK | typeof ANY_MARK): boolean {
  return (request.routeOptions.config as FastifyContextConfig & { [MARK]?: true; [ANY_MARK]?: true })[mark] === true;
}

/** @throws CodedError `invalid_argument` */
export function tarBody({ body }: FastifyRequest): Readable {
  if (body instanceof Readable) return body;
  throw new CodedError('invalid_argument', 'the body is to be a tar archive, sent as application/x-tar');
}

/** For a route that takes either: an archive is handed on as it comes, JSON is what the schema says. */
export function tarOr<O>(schema: StandardSchemaV1<unknown, O>): StandardSchemaV1<unknown, O | Readable> {
  const standard = schema['~standard'];
  return { '~standard': { ...standard, validate: (value) => (value instanceof Readable ? { value } : standard.validate(value)) } };
}
