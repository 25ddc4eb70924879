import type { z } from 'zod';
import { badParameter } from './errors.js';

/** @throws CodedError `invalid_argument` naming the first member that does not fit */
export function parseDocker<T>(schema: z.ZodType<T>, value: unknown): T {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  throw badParameter(`invalid JSON: ${issue?.path.join('.') ?? ''}: ${issue?.message ?? 'does not fit'}`);
}
