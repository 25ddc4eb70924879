import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { isId, type Logger } from '#kernel';
import type { GatewayMetrics } from '../../health/gateway-metrics.js';
import { requestContext } from './request-context.js';

/** One line per request, with its ids, outcome and duration; never its headers, query or body. */
export function logRequests(instance: FastifyInstance, logger: Logger, metrics: GatewayMetrics): void {
  instance.addHook('onRequest', (request, reply, done) => {
    void reply.header('x-request-id', requestContext(request).id);
    void reply.header('x-content-type-options', 'nosniff');
    // Not by the hook onResponse: it does not run when the caller hangs up.
    reply.raw.once('close', () => {
      logRequest(request, reply, logger, metrics);
    });
    done();
  });
}

function logRequest(request: FastifyRequest, reply: FastifyReply, logger: Logger, metrics: GatewayMetrics): void {
  const { id, caller, runId, errorCode } = requestContext(request);
  const route = request.routeOptions.url ?? 'unknown';
  metrics.http.answered({ method: request.method, route: request.routeOptions.url, status: reply.statusCode, milliseconds: reply.elapsedTime });
  const fields = {
    requestId: id,
    tenantId: caller?.tenant?.id,
    keyId: caller?.keyId,
    runId: runId ?? runIdOf(request),
    method: request.method,
    route,
    status: reply.statusCode,
    error: errorCode,
    hungUp: reply.raw.writableFinished ? undefined : true,
    durationMs: Math.round(reply.elapsedTime * 100) / 100,
    ip: request.ip,
  };
  if (route.startsWith('/health/') || route === '/metrics') logger.debug(fields, 'request');
  else logger.info(fields, 'request');
}

/** Of routes below a run. Text that is no id is not ours to log. */
function runIdOf(request: FastifyRequest): string | undefined {
  const { id } = (request.params ?? {}) as { id?: unknown };
  return isId('run', id) ? id : undefined;
}
