import type { FastifyInstance, FastifyRequest } from 'fastify';
import { isId, type Logger } from '#kernel';
import type { GatewayMetrics } from '../../health/gateway-metrics.js';
import { requestContext } from './request-context.js';

/** One line per request, with its ids, outcome and duration; never its headers, query or body. */
export function logRequests(instance: FastifyInstance, logger: Logger, metrics: GatewayMetrics): void {
  instance.addHook('onRequest', (request, reply, done) => {
    void reply.header('x-request-id', requestContext(request).id);
    void reply.header('x-content-type-options', 'nosniff');
    done();
  });
  instance.addHook('onResponse', (request, reply, done) => {
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
      durationMs: Math.round(reply.elapsedTime * 100) / 100,
      ip: request.ip,
    };
    if (route.startsWith('/health/') || route === '/metrics') logger.debug(fields, 'request');
    else logger.info(fields, 'request');
    done();
  });
}

/** Of routes below a run. Text that is no id is not ours to log. */
function runIdOf(request: FastifyRequest): string | undefined {
  const { id } = request.params as { id?: unknown };
  return isId('run', id) ? id : undefined;
}
