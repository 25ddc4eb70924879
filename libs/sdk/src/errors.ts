import { errorBodySchema } from '#contracts';
import { type ErrorCode, type ErrorDetails } from '#kernel';

/** Why a call did not succeed: the answer's code, or `unavailable` when there was no answer (`status` 0). */
export class SandbarApiError extends Error {
  override readonly name = 'SandbarApiError';

  constructor(
    readonly code: ErrorCode,
    message: string,
    /** HTTP status; 0 when no answer came. */
    readonly status: number,
    /** Names the request in the gateway's logs. */
    readonly requestId: string | undefined,
    readonly details: ErrorDetails = {},
    options?: ErrorOptions,
  ) {
    super(message, options);
  }

  /** Whether the same call may succeed later without a change. */
  get retryable(): boolean {
    return ['rate_limited', 'quota_exceeded', 'resource_exhausted', 'unavailable', 'deadline_exceeded'].includes(this.code);
  }
}

const CODE_OF_STATUS: Readonly<Record<number, ErrorCode>> = { 400: 'invalid_argument', 401: 'unauthenticated', 403: 'permission_denied', 404: 'not_found', 409: 'conflict', 410: 'gone', 413: 'payload_too_large', 429: 'rate_limited', 503: 'unavailable', 504: 'deadline_exceeded' };

/** The error that an answer's body describes; one from a proxy in between has only its status. */
export function errorOfAnswer(status: number, body: string): SandbarApiError {
  const parsed = errorBodySchema.safeParse(parseJson(body));
  if (!parsed.success) return new SandbarApiError(CODE_OF_STATUS[status] ?? 'internal', `the server answered ${status}`, status, undefined);
  const { code, message, requestId, details } = parsed.data.error;
  return new SandbarApiError(code, message, status, requestId, details);
}

export function unreachable(url: string, cause: unknown): SandbarApiError {
  return new SandbarApiError('unavailable', `${url} does not answer${reasonOf(cause)}`, 0, undefined, {}, { cause });
}

/** fetch says "fetch failed" and keeps what happened in its cause. */
function reasonOf(error: unknown): string {
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
  if (!(cause instanceof Error)) return '';
  return ` (${'code' in cause && typeof cause.code === 'string' ? cause.code : cause.message})`;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}
