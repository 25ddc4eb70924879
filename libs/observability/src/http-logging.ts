import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from 'node:http';
import type { Params } from 'nestjs-pino';
import type { Logger as PinoLogger } from 'pino';
import { newId } from '#kernel';
import { assignLogContext } from './log-context.js';
import { redactSecrets } from './redaction.js';

const REQUEST_ID = /^[A-Za-z0-9._-]{1,128}$/;

/** The id of a request: the caller's `x-request-id` when it is harmless in logs and headers, or a new `req_…`. */
export function requestIdOf(headers: IncomingHttpHeaders): string {
  const given = headers['x-request-id'];
  return typeof given === 'string' && REQUEST_ID.test(given) ? given : newId('request');
}

/** Paths whose calls are routine and get no line unless they fail. */
const QUIET = /^\/(health|metrics)(\/|\?|$)/;

/**
 * Parameters of nestjs-pino's `LoggerModule` for an HTTP app: one line per answer with method, path, status and duration;
 * `x-request-id` taken from the caller or made, and sent back. A Fastify adapter that has the id already (`genReqId: (req) =>
 * requestIdOf(req.headers)`) passes it on as `req.id`.
 */
export function httpLoggerParams(logger: PinoLogger): Params {
  return {
    pinoHttp: {
      logger,
      genReqId: (request: IncomingMessage, response: ServerResponse) => {
        const id = typeof request.id === 'string' ? request.id : requestIdOf(request.headers);
        response.setHeader('x-request-id', id);
        assignLogContext({ requestId: id });
        return id;
      },
      customAttributeKeys: { reqId: 'requestId' },
      quietReqLogger: true,
      autoLogging: { ignore: (request: IncomingMessage) => QUIET.test(request.url ?? '') },
      customLogLevel: (_request: IncomingMessage, response: ServerResponse, error?: Error) => (error !== undefined || response.statusCode >= 500 ? 'error' : 'info'),
      serializers: {
        req: (request: { method?: string; url?: string }) => ({ method: request.method, url: redactSecrets(request.url ?? '').slice(0, 2048) }),
        res: (response: { statusCode?: number }) => ({ statusCode: response.statusCode }),
      },
    },
  };
}

/** Parameters of nestjs-pino's `LoggerModule` for an application context without HTTP (the worker). */
export function processLoggerParams(logger: PinoLogger): Params {
  return { pinoHttp: { logger, autoLogging: false } };
}
