import { Catch, HttpException, Inject, type ArgumentsHost, type ExceptionFilter } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { asError, type Logger } from '#kernel';
import { LOGGER } from '../../platform/platform.js';
import { requestContext } from './request-context.js';
import { toErrorBody, toRestError, type RestError } from './rest-error.js';
import { RouteTable } from './route-table.js';

/** Every failure of every route, known or not, becomes our one error body. */
@Catch()
export class RestErrorFilter implements ExceptionFilter {
  constructor(
    @Inject(LOGGER) private readonly logger: Logger,
    private readonly routes: RouteTable,
  ) {}

  catch(thrown: unknown, host: ArgumentsHost): void {
    const request = host.switchToHttp().getRequest<FastifyRequest>();
    const reply = host.switchToHttp().getResponse<FastifyReply>();
    const error = this.describe(thrown, request);
    const context = requestContext(request);
    context.errorCode = error.code;
    if (error.unexpected) this.logger.error({ err: asError(thrown), requestId: context.id, method: request.method }, 'a request failed unexpectedly');
    // Headers are out: what the client has got cannot be turned into an error, only cut.
    if (reply.raw.headersSent) {
      reply.raw.destroy();
      return;
    }
    const retryAfter = error.details['retryAfterSeconds'];
    if (typeof retryAfter === 'number') void reply.header('retry-after', String(retryAfter));
    if (error.status === 405) void reply.header('allow', this.routes.methodsFor(pathOf(request)).join(', '));
    void reply.status(error.status).type('application/json; charset=utf-8').send(toErrorBody(error, context.id));
  }

  private describe(thrown: unknown, request: FastifyRequest): RestError {
    // Our own code throws CodedError: Nest's 404 means that no route matched.
    if (!(thrown instanceof HttpException) || thrown.getStatus() !== 404) return toRestError(thrown);
    const methods = this.routes.methodsFor(pathOf(request));
    if (methods.length === 0) return { status: 404, code: 'not_found', message: 'no such route: see /docs', details: {}, unexpected: false };
    return { status: 405, code: 'unsupported', message: `this path takes ${methods.join(', ')}`, details: { methods }, unexpected: false };
  }
}

function pathOf(request: FastifyRequest): string {
  return request.url.split('?', 1)[0] ?? '/';
}
