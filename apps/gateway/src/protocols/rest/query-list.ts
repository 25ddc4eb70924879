import { z } from 'zod';

const MOST = 32;

/** A query parameter that may come several times. */
export function queryList<T extends z.ZodType<unknown, string>>(item: T) {
  return z
    .union([z.string(), z.array(z.string())])
    .transform((value) => [value].flat())
    .pipe(z.array(item).max(MOST))
    .default([]);
}
