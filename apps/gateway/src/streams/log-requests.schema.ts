import { z } from 'zod';

const after = z.coerce.number().int().min(0).max(Number.MAX_SAFE_INTEGER).default(0).describe('The last `seq` that you have: only what comes after it is sent.');

export const logQuerySchema = z.strictObject({
  after,
  follow: z.enum(['true', 'false']).default('true').describe('false: what is there now, without waiting for the rest.'),
});
export type LogQuery = z.infer<typeof logQuerySchema>;

export const logSocketQuerySchema = z.strictObject({ after, ticket: z.string().max(200).optional() });
