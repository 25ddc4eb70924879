import { z } from 'zod';
import { registryAuthSchema } from '#contracts';

const name = z.string().min(1).max(600).describe('As people write it: `busybox`, `127.0.0.1:5000/team/app:v2`, `busybox@sha256:…`.');
const label = z.string().max(1000).describe('`key` or `key=value`');
const flag = z.enum(['true', 'false']).default('false').transform((text) => text === 'true');

export const listImagesQuerySchema = z.strictObject({ sharedSize: flag.describe('Also say how much of each other images have too.') });
export type ListImagesQuery = z.infer<typeof listImagesQuerySchema>;

export const removeImageQuerySchema = z.strictObject({
  force: flag.describe('Although stopped containers use it or several names lead to it.'),
  keepParents: flag.describe('Leave the untagged images below it.'),
});
export type RemoveImageQuery = z.infer<typeof removeImageQuerySchema>;

export const tagImageSchema = z.strictObject({ name });
export type TagImage = z.infer<typeof tagImageSchema>;

export const pullImageSchema = z.strictObject({
  reference: name,
  platform: z.strictObject({ os: z.string().max(64), architecture: z.string().max(64), variant: z.string().max(64).optional() }).optional().describe("Default: the node's own."),
  auth: registryAuthSchema.optional(),
});
export type PullImage = z.infer<typeof pullImageSchema>;

export const pushImageSchema = z.strictObject({ reference: name, auth: registryAuthSchema.optional() });
export type PushImage = z.infer<typeof pushImageSchema>;

const several = z.union([z.string(), z.array(z.string())]).transform((value) => [value].flat());

export const importImageQuerySchema = z.strictObject({
  name: name.optional(),
  message: z.string().max(10_000).optional(),
  change: several.pipe(z.array(z.string().max(65_536)).max(100)).default([]).describe('Dockerfile instructions: `CMD ["sh"]`, `ENV a=b`. May come several times.'),
});
export type ImportImageQuery = z.infer<typeof importImageQuerySchema>;

export const archiveQuerySchema = z.strictObject({ name: several.pipe(z.array(name).min(1).max(100)).describe('May come several times.') });
export type ArchiveQuery = z.infer<typeof archiveQuerySchema>;

export const pruneImagesSchema = z.strictObject({
  all: z.boolean().default(false).describe('Also named ones that no container uses.'),
  labels: z.array(label).max(100).optional(),
  labelsNot: z.array(label).max(100).optional(),
  olderThan: z.iso.datetime().optional(),
});
export type PruneImages = z.infer<typeof pruneImagesSchema>;

export const importedImageSchema = z.object({ id: z.string() });
export type ImportedImage = z.infer<typeof importedImageSchema>;

export const loadedImagesSchema = z.object({ images: z.array(z.object({ id: z.string(), tags: z.array(z.string()) })) });
export type LoadedImages = z.infer<typeof loadedImagesSchema>;

export const prunedImagesSchema = z.object({ removals: z.array(z.object({ kind: z.enum(['untagged', 'deleted']), name: z.string().optional(), id: z.string().optional() })), reclaimedBytes: z.int() });
