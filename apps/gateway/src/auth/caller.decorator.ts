import { createParamDecorator, type ExecutionContext } from '@nestjs/common';
import type { FastifyRequest } from 'fastify';
import { CodedError } from '#kernel';
import { requestContext } from '../protocols/rest/request-context.js';
import { asTenantCaller, type Caller as CallerValue, type TenantCaller as TenantCallerValue } from './caller.js';

function callerOf(context: ExecutionContext): CallerValue {
  const { caller } = requestContext(context.switchToHttp().getRequest<FastifyRequest>());
  if (caller === undefined) throw new CodedError('internal', 'a public route asked for its caller');
  return caller;
}

export type Caller = CallerValue;
export type TenantCaller = TenantCallerValue;

/** Who is calling, tenant or operator. */
export const Caller = createParamDecorator((_data: undefined, context: ExecutionContext): CallerValue => callerOf(context));

/** Who is calling, on routes that act on a tenant's own things. */
export const TenantCaller = createParamDecorator((_data: undefined, context: ExecutionContext): TenantCallerValue => asTenantCaller(callerOf(context)));
