import { z } from 'zod';

const flag = z.enum(['true', 'false', '1', '0']).transform((value) => value === 'true' || value === '1');

export const createRunQuerySchema = z.strictObject({
  wait: flag.default(false).describe('Answer with the result, not at once.'),
  waitTimeoutMs: z.coerce.number().int().min(1).max(300_000).default(60_000).describe('With `wait`: after this many milliseconds the answer is 202 with the run as it is then.'),
});
export type CreateRunQuery = z.infer<typeof createRunQuerySchema>;
