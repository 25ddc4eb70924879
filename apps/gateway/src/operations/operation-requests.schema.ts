import { z } from 'zod';
import { OPERATION_STATES } from '#contracts';

export const listOperationsQuerySchema = z.strictObject({
  state: z.enum(OPERATION_STATES).optional(),
  limit: z.coerce.number().int().min(1).max(200).default(50),
  cursor: z.string().max(200).optional(),
});
export type ListOperationsQuery = z.infer<typeof listOperationsQuerySchema>;

export const progressQuerySchema = z.strictObject({
  after: z.coerce.number().int().min(0).max(Number.MAX_SAFE_INTEGER).default(0).describe('The last `seq` that you have: only what comes after it is sent.'),
});
export type ProgressQuery = z.infer<typeof progressQuerySchema>;
