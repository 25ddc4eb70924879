import { Injectable, type CanActivate, type ExecutionContext } from '@nestjs/common';
import { Reflector } from '@nestjs/core';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { CodedError, isCodedError } from '#kernel';
import { requestContext } from '../protocols/rest/request-context.js';
import { assertPermitted, type Permission } from './caller.js';
import { KeyAuthenticator } from './key-authenticator.service.js';
import { PERMISSION_METADATA } from './permission.decorator.js';
import { RateLimits } from './rate-limits.service.js';

/** Before every route: who is calling, not too often, and permitted to. */
@Injectable()
export class AuthGuard implements CanActivate {
  constructor(
    private readonly reflector: Reflector,
    private readonly keys: KeyAuthenticator,
    private readonly limits: RateLimits,
  ) {}

  async canActivate(context: ExecutionContext): Promise<boolean> {
    if (context.getType() !== 'http') return true;
    const permission = this.reflector.get<Permission | undefined>(PERMISSION_METADATA, context.getHandler());
    // The boot check refuses such a route; should one come here all the same, it is closed.
    if (permission === undefined) throw new CodedError('permission_denied', 'this route has no permission');
    if (permission === 'public') return true;
    const request = context.switchToHttp().getRequest<FastifyRequest>();
    const reply = context.switchToHttp().getResponse<FastifyReply>();
    const caller = await this.identify(request, reply);
    requestContext(request).caller = caller;
    if (caller.tenant !== null) await this.limits.countRequest(caller.tenant);
    assertPermitted(caller, permission);
    return true;
  }

  private async identify(request: FastifyRequest, reply: FastifyReply) {
    try {
      return await this.keys.authenticate(request.headers.authorization);
    } catch (error) {
      if (!isCodedError(error, 'unauthenticated')) throw error;
      await this.limits.countFailedAuthentication(request.ip);
      void reply.header('www-authenticate', 'Bearer realm="sandbar"');
      throw error;
    }
  }
}
