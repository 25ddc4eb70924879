import { z } from 'zod';
import { ERROR_CODES } from '#kernel';
import { progressLineSchema } from './host.js';

/** Pulls and pushes: rows with a state, executed as jobs by the tenant's home node, their progress a stream that can be taken up at any line. */
export const OPERATION_STATES = ['queued', 'running', 'succeeded', 'failed', 'cancelled'] as const;
export const OPERATION_KINDS = ['image.pull', 'image.push'] as const;

export const operationViewSchema = z.object({
  id: z.string(),
  kind: z.enum(OPERATION_KINDS),
  state: z.enum(OPERATION_STATES),
  /** The image's name as given, in full. */
  reference: z.string(),
  /** Of one that succeeded: `{imageId, digest, changed}` or `{digest, tag, sizeBytes}`. */
  result: z.record(z.string(), z.unknown()).nullable(),
  error: z.object({ code: z.string(), message: z.string() }).nullable(),
  createdAt: z.iso.datetime(),
  startedAt: z.iso.datetime().nullable(),
  finishedAt: z.iso.datetime().nullable(),
});
export type OperationView = z.infer<typeof operationViewSchema>;

/** How one ended. */
export const operationOutcomeSchema = z.object({
  state: z.enum(['succeeded', 'failed', 'cancelled']),
  result: z.record(z.string(), z.unknown()).nullable(),
  error: z.object({ code: z.enum(ERROR_CODES), message: z.string() }).nullable(),
});
export type OperationOutcome = z.infer<typeof operationOutcomeSchema>;

/** Of a private registry, for one operation. Sealed before it goes into the queue, never stored elsewhere, never logged. */
export const registryAuthSchema = z.strictObject({
  username: z.string().max(1024).optional(),
  password: z.string().max(65_536).optional(),
  identityToken: z.string().max(65_536).optional(),
  registryToken: z.string().max(65_536).optional(),
});
export type RegistryAuthBody = z.infer<typeof registryAuthSchema>;

export const operationJobSchema = z.object({
  operationId: z.string(),
  tenantId: z.string(),
  requestId: z.string(),
  kind: z.enum(OPERATION_KINDS),
  reference: z.string(),
  platform: z.object({ os: z.string(), architecture: z.string(), variant: z.string().optional() }).optional(),
  /** AES-256-GCM with a key of the node token: base64 of nonce, tag and text. */
  sealedAuth: z.string().optional(),
  /** Of the tenant, when it was asked for: how many of its operations may execute at once. */
  concurrentOperations: z.int().min(1).default(4),
  /** Likewise: what its images may take up on the node. */
  imageBytes: z.int().min(0).optional(),
});
export type OperationJob = z.infer<typeof operationJobSchema>;

/** A progress line with its number, from 1. The last one has `end`. */
export const operationProgressSchema = progressLineSchema.extend({ seq: z.int(), end: z.boolean().optional() });
export type OperationProgress = z.infer<typeof operationProgressSchema>;
