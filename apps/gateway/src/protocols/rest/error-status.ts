import type { ErrorCode } from '#kernel';

/** Total: a new code does not compile until it has a status. */
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
