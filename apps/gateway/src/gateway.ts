import type { LoggerService } from '@nestjs/common';
import { ModulesContainer, NestFactory } from '@nestjs/core';
import { FastifyAdapter, type NestFastifyApplication } from '@nestjs/platform-fastify';
import { systemClock, type Logger } from '#kernel';
import { assertEveryRouteDecides, listRoutePermissions } from './auth/route-permissions.js';
import { RequestAuthentication } from './auth/request-authentication.service.js';
import { serveDocs } from './docs/openapi.js';
import { GatewayModule } from './gateway.module.js';
import { GatewayMetrics } from './health/gateway-metrics.js';
import { Lifecycle } from './platform/lifecycle.js';
import { SETTINGS } from './platform/platform.js';
import type { GatewaySettings } from './platform/settings.js';
import type { Surroundings } from './platform/platform.module.js';
import { acceptDocker } from './protocols/docker/accept-docker.js';
import type { DockerBackends } from './protocols/docker/docker-backends.js';
import { DockerErrorFilter } from './protocols/docker/docker-error.filter.js';
import { hijackOf, isDockerRequest } from './protocols/docker/routing.js';
import { ProtocolErrorFilter } from './protocols/protocol-error.filter.js';
import { limitBodyTime } from './protocols/rest/body-deadline.js';
import { authenticateBeforeBodies } from './protocols/rest/body-gate.js';
import { ConnectionDrain } from './protocols/rest/connection-drain.js';
import { fastifyOptions } from './protocols/rest/fastify-server.js';
import { acceptJsonBodies } from './protocols/rest/json-body.js';
import { logRequests } from './protocols/rest/request-log.js';
import { RestErrorFilter } from './protocols/rest/rest-error.filter.js';
import { acceptSignedBodies } from './protocols/rest/signed-body.js';
import { RouteTable } from './protocols/rest/route-table.js';
import { cutStalledAnswers } from './protocols/rest/stalled-answers.js';
import { acceptTarBodies, takesTar } from './protocols/rest/tar-body.js';
import { validationPipe } from './protocols/rest/validation.pipe.js';
import { RoutedWebSocketAdapter } from './streams/websocket.adapter.js';
import { TlsListener } from './tls/tls-listener.js';

/** The gateway, ready to listen. The platform stays the caller's: close it after the application. */
export async function createGateway(surroundings: Surroundings & { readonly docker?: DockerBackends }): Promise<NestFastifyApplication> {
  const { settings, logger } = surroundings;
  const routes = new RouteTable();
  const adapter = new FastifyAdapter(fastifyOptions(settings, logger));
  const instance = adapter.getInstance();
  instance.addHook('onRoute', ({ method, url }) => {
    for (const one of [method].flat()) routes.add(one, url);
  });
  const drain = new ConnectionDrain(instance);
  if (settings.tls !== undefined) {
    const listener = new TlsListener(instance.server, { ...settings.tls, logger, now: () => (surroundings.clock ?? systemClock).now() });
    drain.closeAlso(() => { listener.closeUndecided(); });
  }
  // eslint-disable-next-line @typescript-eslint/no-unsafe-class-instance-assignment -- Nest declares its options as a class that it never constructs
  const app = await NestFactory.create<NestFastifyApplication>(GatewayModule.with(surroundings, routes, drain), adapter, {
    bodyParser: false,
    logger: nestLogger(logger),
    abortOnError: false,
  });
  const authentication = app.get(RequestAuthentication, { strict: false });
  acceptJsonBodies(instance, settings.bodyLimitBytes, (request, bytes) => authentication.countUnannounced(request, bytes));
  logRequests(instance, logger, app.get(GatewayMetrics, { strict: false }));
  acceptDocker(instance, settings.requestTimeoutMs);
  acceptTarBodies(instance, settings.requestTimeoutMs);
  acceptSignedBodies(instance, settings.requestTimeoutMs);
  limitBodyTime(instance, settings.requestTimeoutMs, (request) => isDockerRequest(request.raw) || takesTar(request));
  authenticateBeforeBodies(instance, authentication, settings.bodyLimitBytes);
  cutStalledAnswers(instance, settings.stallMs);
  app.useGlobalFilters(new ProtocolErrorFilter(new RestErrorFilter(logger, routes), new DockerErrorFilter(logger)));
  app.useGlobalPipes(validationPipe());
  app.useWebSocketAdapter(new RoutedWebSocketAdapter(app, logger, (message) => hijackOf(message) !== undefined));
  serveDocs(app, instance);
  assertEveryRouteDecides(listRoutePermissions(app.get(ModulesContainer)));
  await app.init();
  await instance.ready();
  return app;
}

/** Readiness says 503, waits are answered with what is there, log streams end; then requests in work have their time; then all stops. */
export async function closeGateway(app: NestFastifyApplication): Promise<void> {
  app.get(Lifecycle, { strict: false }).beginDrain();
  const { shutdownGraceMs } = app.get<GatewaySettings>(SETTINGS, { strict: false });
  // Nine tenths: the rest of the grace is for the database and Redis.
  await app.get(ConnectionDrain, { strict: false }).alongside(app.getHttpServer(), shutdownGraceMs * 0.9, app.close());
}

/** What Nest says of itself is of interest when something is wrong. */
function nestLogger(logger: Logger): LoggerService {
  const fields = (rest: unknown[]): object => ({ nest: rest.map(String) });
  return {
    log: (message: unknown, ...rest: unknown[]) => {
      logger.debug(fields(rest), String(message));
    },
    debug: (message: unknown, ...rest: unknown[]) => {
      logger.debug(fields(rest), String(message));
    },
    verbose: () => undefined,
    warn: (message: unknown, ...rest: unknown[]) => {
      logger.warn(fields(rest), String(message));
    },
    error: (message: unknown, ...rest: unknown[]) => {
      logger.error(fields(rest), String(message));
    },
    fatal: (message: unknown, ...rest: unknown[]) => {
      logger.error(fields(rest), String(message));
    },
  };
}
