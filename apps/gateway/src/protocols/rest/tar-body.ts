import type { FastifyInstance, FastifyRequest } from 'fastify';
import { Readable } from 'node:stream';
import { CodedError } from '#kernel';

const TYPES = ['application/x-tar', 'application/tar', 'application/gzip', 'application/zstd', 'application/octet-stream'];

/** Archives are not read into memory: the handler gets the stream, without a limit to its length. */
export function acceptTarBodies(instance: FastifyInstance): void {
  instance.addContentTypeParser(TYPES, (_request: FastifyRequest, payload: Readable, done: (error: null, body: Readable) => void) => {
    done(null, payload);
  });
}

/** Whether the body is one of those. */
export function isTarRequest(request: FastifyRequest): boolean {
  const type = request.headers['content-type']?.split(';')[0]?.trim().toLowerCase();
  return type !== undefined && TYPES.includes(type);
}

/** @throws CodedError `invalid_argument` */
export function tarBody({ body }: FastifyRequest): Readable {
  if (body instanceof Readable) return body;
  throw new CodedError('invalid_argument', 'the body is to be a tar archive, sent as application/x-tar');
}
