/**
 * Every failure that crosses a component or a process carries one of these codes. They are part of the public API:
 * clients may branch on them, so a code is never renamed and never changes its meaning.
 */
export const ERROR_CODES = [
  'invalid_argument',
  'unauthenticated',
  'permission_denied',
  'not_found',
  'already_exists',
  'conflict',
  'failed_precondition',
  'gone',
  'payload_too_large',
  'rate_limited',
  'quota_exceeded',
  'resource_exhausted',
  'unavailable',
  'deadline_exceeded',
  'cancelled',
  'unsupported',
  'digest_mismatch',
  'protocol_violation',
  'internal',
] as const;

export type ErrorCode = (typeof ERROR_CODES)[number];

/** Whether the same call may succeed later without a change. Total, so that a new code must decide. */
const RETRYABLE: Record<ErrorCode, boolean> = {
  invalid_argument: false,
  unauthenticated: false,
  permission_denied: false,
  not_found: false,
  already_exists: false,
  conflict: false,
  failed_precondition: false,
  gone: false,
  payload_too_large: false,
  rate_limited: true,
  quota_exceeded: true,
  resource_exhausted: true,
  unavailable: true,
  deadline_exceeded: true,
  cancelled: false,
  unsupported: false,
  digest_mismatch: true,
  protocol_violation: false,
  internal: false,
};

/** Plain JSON values that tell a caller what is wrong (a field, a limit, a name). Never secrets. */
export type ErrorDetails = Readonly<Record<string, unknown>>;

export class CodedError extends Error {
  override readonly name = 'CodedError';

  constructor(
    readonly code: ErrorCode,
    message: string,
    readonly details: ErrorDetails = {},
    options?: ErrorOptions,
  ) {
    super(message, options);
  }

  get retryable(): boolean {
    return RETRYABLE[this.code];
  }
}

export function isCodedError(value: unknown, code?: ErrorCode): value is CodedError {
  return value instanceof CodedError && (code === undefined || value.code === code);
}

export function isErrorCode(value: unknown): value is ErrorCode {
  return typeof value === 'string' && (ERROR_CODES as readonly string[]).includes(value);
}

/** The `code` of a Node.js system error (`ENOENT`, `EEXIST` …), or undefined for anything else. */
export function errnoOf(value: unknown): string | undefined {
  return isError(value) && 'code' in value && typeof value.code === 'string' ? value.code : undefined;
}

/** Something thrown, as an Error: `catch` binds unknown. */
export function asError(value: unknown): Error {
  return isError(value) ? value : new Error(String(value));
}

/** Not by instanceof alone: an error that another realm made (node:vm, hence every core module under Jest) is an Error too. */
function isError(value: unknown): value is Error {
  return value instanceof Error || Object.prototype.toString.call(value) === '[object Error]';
}
