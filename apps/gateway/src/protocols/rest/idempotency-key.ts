import { CodedError } from '#kernel';

const IDEMPOTENCY_KEY = /^[\x21-\x7e]{1,200}$/;

/** @throws CodedError `invalid_argument` */
export function parseIdempotencyKey(header: string | string[] | undefined): string | undefined {
  if (header === undefined) return undefined;
  if (typeof header === 'string' && IDEMPOTENCY_KEY.test(header)) return header;
  const message = 'must be 1 to 200 visible ASCII characters';
  throw new CodedError('invalid_argument', `Idempotency-Key: ${message}`, { issues: [{ path: 'Idempotency-Key', message }] });
}
