import type { z } from 'zod';
import { tenantLimitsSchema, type TenantLimits } from '#contracts';
import { CodedError, parseId, type TenantId } from '#kernel';
import type { RpcRequest, RpcRoute } from '../node/rpc-server.js';

/** A call on behalf of one tenant. */
export interface HostCall extends RpcRequest {
  readonly tenantId: TenantId;
  /** Of the header `x-sandbar-limits`. @throws CodedError `invalid_argument` */
  readonly limits: () => TenantLimits;
}

/** A route below `/tenants/<tenant id>`. */
export function hostRoute(method: RpcRoute['method'], path: string, handle: (call: HostCall) => Promise<unknown>): RpcRoute {
  const escaped = path.replace(/[/.]/g, '\\$&');
  return {
    method,
    path: new RegExp(`^\\/tenants\\/([^/]+)${escaped}$`),
    handle: (request) => handle(asHostCall(request)),
  };
}

/** @throws CodedError `not_found` when the path names no tenant */
export function asHostCall(request: RpcRequest): HostCall {
  return { ...request, tenantId: parseId('tenant', request.groups[0]), limits: () => limitsOf(request) };
}

/** By their text: most calls say the same. */
const knownLimits = new Map<string, TenantLimits>();
const LIMITS_KEPT = 256;

function limitsOf({ header }: RpcRequest): TenantLimits {
  const text = header('x-sandbar-limits') ?? '';
  const known = knownLimits.get(text);
  if (known !== undefined) return known;
  let given: unknown;
  try {
    given = JSON.parse(text);
  } catch {
    throw new CodedError('invalid_argument', 'x-sandbar-limits: not JSON');
  }
  const limits = Object.freeze(parse(tenantLimitsSchema, given));
  if (knownLimits.size >= LIMITS_KEPT) knownLimits.clear();
  knownLimits.set(text, limits);
  return limits;
}

/** @throws CodedError `invalid_argument` */
export function parse<T>(schema: z.ZodType<T>, value: unknown): T {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  throw new CodedError('invalid_argument', parsed.error.issues.map((issue) => `${issue.path.join('.')}: ${issue.message}`).join('; '));
}

export async function bodyOf<T>(call: HostCall, schema: z.ZodType<T>): Promise<T> {
  return parse(schema, (await call.json()) ?? {});
}

/** @throws CodedError `invalid_argument` when it is absent or empty */
export function required({ query }: Pick<HostCall, 'query'>, name: string): string {
  const value = query.get(name);
  if (value === null || value === '') throw new CodedError('invalid_argument', `${name}: is missing`);
  return value;
}

export function flag({ query }: Pick<HostCall, 'query'>, name: string): boolean {
  return query.get(name) === '1';
}

/** Undefined when it is absent. @throws CodedError `invalid_argument` */
export function integer({ query }: Pick<HostCall, 'query'>, name: string): number | undefined {
  const value = query.get(name);
  if (value === null) return undefined;
  const number = Number(value);
  if (!/^\d{1,16}$/.test(value) || !Number.isSafeInteger(number)) throw new CodedError('invalid_argument', `${name}: not a whole number`);
  return number;
}
