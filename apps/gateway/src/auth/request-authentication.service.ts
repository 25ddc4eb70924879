import { Inject, Injectable } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { isCodedError } from '#kernel';
import { SETTINGS } from '../platform/platform.js';
import type { GatewaySettings } from '../platform/settings.js';
import { requestContext } from '../protocols/rest/request-context.js';
import { takesTar } from '../protocols/rest/tar-body.js';
import type { Caller } from './caller.js';
import { KeyAuthenticator } from './key-authenticator.service.js';
import { RateLimits } from './rate-limits.service.js';

/** Finds out who sent a request and counts it, once, however many ask. */
@Injectable()
export class RequestAuthentication {
  constructor(
    private readonly keys: KeyAuthenticator,
    private readonly limits: RateLimits,
    @Inject(SETTINGS) private readonly settings: GatewaySettings,
  ) {}

  /** @throws CodedError `unauthenticated`, `rate_limited` */
  async callerOf(request: FastifyRequest, reply: FastifyReply): Promise<Caller> {
    const context = requestContext(request);
    if (context.caller !== undefined) return context.caller;
    const caller = await this.identify(request, reply);
    context.caller = caller;
    const bytes = announcedBytes(request);
    // One that is too large is refused unread.
    if (caller.tenant !== null) await this.limits.countRequest(caller.tenant, bytes > this.settings.bodyLimitBytes ? 0 : bytes);
    return caller;
  }

  /** A body whose size nobody announced is counted when it is there. @throws CodedError `rate_limited` */
  async countUnannounced(request: FastifyRequest, bytes: number): Promise<void> {
    const tenant = requestContext(request).caller?.tenant ?? null;
    if (tenant !== null && announcedBytes(request) === 0) await this.limits.countBody(tenant, bytes);
  }

  private async identify(request: FastifyRequest, reply: FastifyReply): Promise<Caller> {
    try {
      return await this.keys.authenticateMessage(request.raw);
    } catch (error) {
      if (!isCodedError(error, 'unauthenticated')) throw error;
      void reply.header('www-authenticate', 'Bearer realm="sandbar"');
      await this.limits.countFailedAuthentication(request.ip);
      throw error;
    }
  }
}

/** Of a body that is to be held in memory. Node's parser has checked the header: it is a number or not there. */
function announcedBytes(request: FastifyRequest): number {
  if (takesTar(request)) return 0;
  return Number(request.headers['content-length'] ?? 0);
}
