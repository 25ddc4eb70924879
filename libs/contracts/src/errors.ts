import { z } from 'zod';
import { ERROR_CODES, type ErrorCode } from '#kernel';

/** The body of every answer that is not a success. */
export const errorBodySchema = z.object({
  error: z.object({
    code: z.enum(ERROR_CODES),
    message: z.string(),
    details: z.record(z.string(), z.unknown()),
    requestId: z.string(),
  }),
});
export type ErrorBody = z.infer<typeof errorBodySchema>;

/** The HTTP status that goes with each code, on the public API and on node RPC. Total: a new code does not compile until it has one. */
export const STATUS_OF: Readonly<Record<ErrorCode, number>> = {
  invalid_argument: 400,
  unauthenticated: 401,
  permission_denied: 403,
  not_found: 404,
  already_exists: 409,
  conflict: 409,
  failed_precondition: 409,
  gone: 410,
  payload_too_large: 413,
  rate_limited: 429,
  quota_exceeded: 429,
  resource_exhausted: 503,
  unavailable: 503,
  deadline_exceeded: 504,
  cancelled: 499,
  unsupported: 501,
  digest_mismatch: 400,
  protocol_violation: 502,
  internal: 500,
};
