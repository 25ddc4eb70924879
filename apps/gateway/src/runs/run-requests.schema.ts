import { z } from 'zod';
import { CodedError } from '#kernel';

const flag = z.enum(['true', 'false', '1', '0']).transform((value) => value === 'true' || value === '1');

export const createRunQuerySchema = z.strictObject({
  wait: flag.default(false).describe('Answer with the result, not at once.'),
  waitTimeoutMs: z.coerce.number().int().min(1).max(300_000).default(60_000).describe('With `wait`: after this many milliseconds the answer is 202 with the run as it is then.'),
});
export type CreateRunQuery = z.infer<typeof createRunQuerySchema>;

const IDEMPOTENCY_KEY = /^[\x21-\x7e]{1,200}$/;

/** @throws CodedError `invalid_argument` */
export function parseIdempotencyKey(header: string | string[] | undefined): string | undefined {
  if (header === undefined) return undefined;
  if (typeof header === 'string' && IDEMPOTENCY_KEY.test(header)) return header;
  const message = 'must be 1 to 200 visible ASCII characters';
  throw new CodedError('invalid_argument', `Idempotency-Key: ${message}`, { issues: [{ path: 'Idempotency-Key', message }] });
}
