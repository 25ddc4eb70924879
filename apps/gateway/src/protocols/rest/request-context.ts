import type { FastifyRequest } from 'fastify';
import type { IncomingMessage } from 'node:http';
import type { ErrorCode } from '#kernel';
import { requestIdOf } from '#observability';
import type { Caller } from '../../auth/caller.js';

/** What is known of one request, from its first byte to its log line. */
export interface RequestContext {
  readonly id: string;
  caller?: Caller;
  /** Set by routes that act on one run. */
  runId?: string;
  errorCode?: ErrorCode;
}

const contexts = new WeakMap<IncomingMessage, RequestContext>();

/** The context of a request, made on the first call. Keyed by Node's message: WebSocket upgrades have no Fastify request. */
export function contextOf(message: IncomingMessage): RequestContext {
  const known = contexts.get(message);
  if (known !== undefined) return known;
  const made: RequestContext = { id: requestIdOf(message.headers) };
  contexts.set(message, made);
  return made;
}

export function requestContext(request: FastifyRequest): RequestContext {
  return contextOf(request.raw);
}
