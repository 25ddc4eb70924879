import { Injectable, type CanActivate, type ExecutionContext } from '@nestjs/common';
import { Reflector } from '@nestjs/core';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { CodedError } from '#kernel';
import { assertPermitted, type Permission } from './caller.js';
import { PERMISSION_METADATA } from './permission.decorator.js';
import { RequestAuthentication } from './request-authentication.service.js';

/** Before every route: who is calling, not too often (both known before a body was read), and permitted to. */
@Injectable()
export class AuthGuard implements CanActivate {
  constructor(
    private readonly reflector: Reflector,
    private readonly authentication: RequestAuthentication,
  ) {}

  async canActivate(context: ExecutionContext): Promise<boolean> {
    if (context.getType() !== 'http') return true;
    const permission = this.reflector.get<Permission | undefined>(PERMISSION_METADATA, context.getHandler());
    // The boot check refuses such a route; should one come here all the same, it is closed.
    if (permission === undefined) throw new CodedError('permission_denied', 'this route has no permission');
    if (permission === 'public') return true;
    const request = context.switchToHttp().getRequest<FastifyRequest>();
    const reply = context.switchToHttp().getResponse<FastifyReply>();
    assertPermitted(await this.authentication.callerOf(request, reply), permission);
    return true;
  }
}
