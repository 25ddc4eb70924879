import { z } from 'zod';

/** Something that builds keep for the next ones: what a step came to, or the content of a cache mount. Times in milliseconds. */
export const cacheRecordSchema = z.object({
  id: z.string(),
  kind: z.enum(['step', 'mount']),
  parent: z.string().optional(),
  description: z.string(),
  sizeBytes: z.int(),
  createdAt: z.number(),
  lastUsedAt: z.number(),
  uses: z.int(),
  inUse: z.boolean(),
  shared: z.boolean(),
});
export type CacheRecordView = z.infer<typeof cacheRecordSchema>;

/** What of the cache is to go; each that is said must hold. Nothing said: all that can. */
export const cachePruneSchema = z.strictObject({
  /** Not used since. */
  untilMs: z.number().optional(),
  /** Beginnings of ids. */
  ids: z.array(z.string().min(1).max(128)).max(1000).optional(),
  parents: z.array(z.string().min(1).max(128)).max(1000).optional(),
  kinds: z.array(z.enum(['step', 'mount'])).optional(),
  /** Parts of descriptions. */
  descriptions: z.array(z.string().max(1024)).max(100).optional(),
  inUse: z.boolean().optional(),
  shared: z.boolean().optional(),
  keepBytes: z.number().nonnegative().optional(),
});
export type CachePruneBody = z.infer<typeof cachePruneSchema>;

export const cachePrunedSchema = z.object({ removed: z.array(z.string()), reclaimedBytes: z.number() });
