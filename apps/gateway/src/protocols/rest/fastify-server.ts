import type { FastifyReply, FastifyRequest, FastifyServerOptions } from 'fastify';
import { STATUS_CODES, type IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import { errnoOf, newId, type Logger } from '#kernel';
import type { GatewaySettings } from '../../platform/settings.js';
import { sendDockerError, toDockerError } from '../docker/errors.js';
import { hijackOf, isDockerRequest, isDockerTarget, rewriteDockerUrl } from '../docker/routing.js';
import { contextOf, requestContext } from './request-context.js';
import { toErrorBody, toRestError, type RestError } from './rest-error.js';

const MAX_HEADER_BYTES = 1024 * 1024;
/** A connection on which nothing moves, no request in work, is closed. Above the keep-alive of usual load balancers. */
const KEEP_ALIVE_MS = 72_000;
/** How often Node looks for requests that are over their time. */
const CHECK_INTERVAL_MS = 1_000;

/** How the HTTP server treats slow, oversized and malformed requests, before any of our routes is asked. */
export function fastifyOptions(settings: GatewaySettings, logger: Logger) {
  const options = {
    logger: false as const,
    trustProxy: false,
    genReqId: (message: IncomingMessage) => contextOf(message).id,
    requestIdHeader: false as const,
    bodyLimit: settings.bodyLimitBytes,
    rewriteUrl: rewriteDockerUrl,
    // Names of images are longer than the router's default of 100 characters.
    routerOptions: { maxParamLength: 1024 },
    // Bodies have a clock of their own: `limitBodyTime`.
    requestTimeout: 0,
    keepAliveTimeout: KEEP_ALIVE_MS,
    return503OnClosing: false,
    forceCloseConnections: 'idle' as const,
    http: {
      maxHeaderSize: MAX_HEADER_BYTES,
      connectionsCheckingInterval: CHECK_INTERVAL_MS,
      headersTimeout: Math.min(settings.requestTimeoutMs, 15_000),
      // `Upgrade:` on a request that has a plain answer (`h2c` of curl --http2 and some Java clients, `tcp` of Docker's on other routes) is an offer that a server may ignore.
      shouldUpgradeCallback: (message: IncomingMessage) => message.headers.upgrade?.toLowerCase() !== 'h2c' && (hijackOf(message) !== undefined || !isDockerTarget(message.url ?? '/')),
    },
    frameworkErrors: (error: Error, request: FastifyRequest, reply: FastifyReply) => {
      const seen = toRestError(error);
      logger.info({ requestId: requestContext(request).id, status: seen.status }, 'a request with a malformed target');
      if (isDockerRequest(request.raw)) sendDockerError(reply, toDockerError(error));
      else void reply.status(seen.status).type('application/json; charset=utf-8').send(toErrorBody(seen, requestContext(request).id));
    },
    clientErrorHandler: answerClientError,
  };
  return options satisfies FastifyServerOptions;
}

/** What Node's parser refuses never becomes a request: the answer is written by hand. */
export function answerClientError(error: Error, socket: Socket): void {
  // ECONNRESET: nobody is there. `bytesWritten` of an answer in progress would be corrupted by a second one.
  if (errnoOf(error) === 'ECONNRESET' || !socket.writable || answerHasBegun(socket)) {
    socket.destroy();
    return;
  }
  socket.end(rawResponse(clientError(errnoOf(error)), newId('request')), () => {
    socket.destroySoon();
  });
}

/** A complete HTTP/1.1 answer as bytes, for connections that Fastify does not answer. The connection closes after it. */
export function rawResponse(error: RestError, requestId: string): string {
  const body = JSON.stringify(toErrorBody(error, requestId));
  return [
    `HTTP/1.1 ${error.status} ${STATUS_CODES[error.status] ?? 'Error'}`,
    'content-type: application/json; charset=utf-8',
    `content-length: ${Buffer.byteLength(body)}`,
    `x-request-id: ${requestId}`,
    ...(error.status === 401 ? ['www-authenticate: Bearer realm="sandbar"'] : []),
    'connection: close',
    '',
    body,
  ].join('\r\n');
}

function clientError(code: string | undefined): RestError {
  const base = { details: {}, unexpected: false };
  if (code === 'ERR_HTTP_REQUEST_TIMEOUT') return { ...base, status: 408, code: 'deadline_exceeded', message: 'the request did not arrive in time' };
  if (code === 'HPE_HEADER_OVERFLOW') return { ...base, status: 431, code: 'payload_too_large', message: 'the headers are too large' };
  return { ...base, status: 400, code: 'invalid_argument', message: 'this is not HTTP' };
}

/** The response that Node is writing on this socket, if any: an internal field, and the only place that tells. */
function answerHasBegun(socket: Socket): boolean {
  const message = (socket as Socket & { _httpMessage?: { headersSent?: boolean } | null })._httpMessage;
  return message?.headersSent === true;
}
