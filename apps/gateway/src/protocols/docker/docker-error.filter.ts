import { Catch, Inject, type ArgumentsHost, type ExceptionFilter } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { asError, type Logger } from '#kernel';
import { LOGGER } from '../../platform/platform.js';
import { requestContext } from '../rest/request-context.js';
import { toRestError } from '../rest/rest-error.js';
import { sendDockerError, toDockerError } from './errors.js';

/** Every failure of Docker's routes as Docker's error body. */
@Catch()
export class DockerErrorFilter implements ExceptionFilter {
  constructor(@Inject(LOGGER) private readonly logger: Logger) {}

  catch(thrown: unknown, host: ArgumentsHost): void {
    const request = host.switchToHttp().getRequest<FastifyRequest>();
    const reply = host.switchToHttp().getResponse<FastifyReply>();
    const seen = toRestError(thrown);
    const context = requestContext(request);
    context.errorCode = seen.code;
    if (seen.unexpected) this.logger.error({ err: asError(thrown), requestId: context.id, method: request.method }, 'a request failed unexpectedly');
    // A stream that has begun cannot become an error, only be cut.
    if (reply.raw.headersSent) {
      reply.raw.destroy();
      return;
    }
    const retryAfter = seen.details['retryAfterSeconds'];
    if (typeof retryAfter === 'number') void reply.header('retry-after', String(retryAfter));
    sendDockerError(reply, toDockerError(thrown));
  }
}
