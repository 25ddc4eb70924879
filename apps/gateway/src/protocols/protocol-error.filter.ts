import { Catch, type ArgumentsHost, type ExceptionFilter } from '@nestjs/common';
import type { FastifyRequest } from 'fastify';
import { DockerErrorFilter } from './docker/docker-error.filter.js';
import { isDockerRequest } from './docker/routing.js';
import { RestErrorFilter } from './rest/rest-error.filter.js';

/** Each protocol says what went wrong in its own words. */
@Catch()
export class ProtocolErrorFilter implements ExceptionFilter {
  constructor(
    private readonly rest: RestErrorFilter,
    private readonly docker: DockerErrorFilter,
  ) {}

  catch(thrown: unknown, host: ArgumentsHost): void {
    const { raw } = host.switchToHttp().getRequest<FastifyRequest>();
    (isDockerRequest(raw) ? this.docker : this.rest).catch(thrown, host);
  }
}
