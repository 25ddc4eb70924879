import { z } from 'zod';

/**
 * What a node says of a tenant's virtual host, over node RPC, and the public API to its callers. Image names are canonical (`docker.io/library/busybox:latest`);
 * times are milliseconds unless the name says otherwise.
 */
const digest = z.string().regex(/^sha256:[0-9a-f]{64}$/);
const labels = z.record(z.string(), z.string());

export const imageSummarySchema = z.object({
  id: digest,
  tags: z.array(z.string()),
  digests: z.array(z.string()),
  parent: digest.nullable(),
  createdAt: z.string().nullable().describe('RFC 3339, from its config.'),
  sizeBytes: z.int(),
  /** Of layers that other images of the tenant have too; null unless asked for. */
  sharedBytes: z.int().nullable(),
  containers: z.int(),
  labels,
});
export type ImageSummary = z.infer<typeof imageSummarySchema>;

export const imageDetailSchema = imageSummarySchema.extend({
  taggedAt: z.int().nullable(),
  addedAt: z.int(),
  /** The config's JSON as received (OCI image-spec, config.md, with Docker's additions). */
  config: z.record(z.string(), z.unknown()),
});
export type ImageDetail = z.infer<typeof imageDetailSchema>;

export const imageHistorySchema = z.array(
  z.object({ id: digest.nullable(), createdAt: z.string().nullable(), createdBy: z.string(), comment: z.string(), sizeBytes: z.int(), tags: z.array(z.string()) }),
);
export type ImageHistory = z.infer<typeof imageHistorySchema>;

export const imageRemovalsSchema = z.array(z.union([z.object({ kind: z.literal('untagged'), name: z.string() }), z.object({ kind: z.literal('deleted'), id: z.string() })]));
export type ImageRemovals = z.infer<typeof imageRemovalsSchema>;

export const volumeViewSchema = z.object({
  name: z.string(),
  driver: z.literal('local'),
  createdAt: z.int(),
  labels,
  options: labels,
  anonymous: z.boolean(),
  /** As a path of the tenant's virtual host. */
  mountpoint: z.string(),
  /** Containers that hold it. */
  usedBy: z.array(z.string()),
  /** Only when asked for. */
  sizeBytes: z.int().nullable(),
});
export type VolumeView = z.infer<typeof volumeViewSchema>;

export const createVolumeSchema = z.strictObject({
  name: z.string().max(255).optional(),
  driver: z.string().max(64).optional(),
  labels: labels.optional(),
  options: labels.optional(),
});
export type CreateVolumeBody = z.infer<typeof createVolumeSchema>;

/** One line of a pull's, push's, load's or import's progress, in Docker's words. */
export const progressLineSchema = z.object({
  id: z.string().optional(),
  status: z.string().optional(),
  current: z.int().optional(),
  total: z.int().optional(),
  /** The last line of one that failed. */
  error: z.object({ code: z.string(), message: z.string() }).optional(),
  /** Facts for programs: `{digest, imageId, tag, sizeBytes}`. */
  aux: z.record(z.string(), z.unknown()).optional(),
});
export type ProgressLine = z.infer<typeof progressLineSchema>;

export const diskUsageSchema = z.object({
  layersBytes: z.int(),
  images: z.array(imageSummarySchema),
  containers: z.array(z.object({ id: z.string(), writableBytes: z.int(), rootfsBytes: z.int() })),
  volumes: z.array(volumeViewSchema),
  /** Of the tenant's disk, hard. */
  disk: z.object({ totalBytes: z.int(), usedBytes: z.int(), availableBytes: z.int() }).nullable(),
});
export type DiskUsageView = z.infer<typeof diskUsageSchema>;

export const hostEventSchema = z.object({
  timeNs: z.string(),
  type: z.enum(['container', 'image', 'volume', 'network', 'builder']),
  action: z.string(),
  id: z.string(),
  attributes: labels,
});
export type HostEventView = z.infer<typeof hostEventSchema>;
