import { z } from 'zod';
import { registryAuthSchema } from './operations.js';

const texts = z.record(z.string().max(1024), z.string().max(64 * 1024));
const bytes = z.int().positive().max(Number.MAX_SAFE_INTEGER);

/** What a node is asked to build, beside the context. */
export const buildRequestSchema = z.strictObject({
  /** Where the context is; absent: it is the body. */
  remote: z.string().min(1).max(4096).optional(),
  dockerfile: z.string().min(1).max(4096).optional(),
  target: z.string().max(1024).optional(),
  buildArgs: texts.default({}),
  labels: texts.default({}),
  /** Canonical names. */
  tags: z.array(z.string().max(512)).max(128).default([]),
  noCache: z.boolean().default(false),
  pull: z.boolean().default(false),
  platform: z.string().max(100).optional(),
  /** `default`, `none`, or a network of the tenant's. */
  network: z.string().min(1).max(256).default('default'),
  /** `name:address`. */
  extraHosts: z.array(z.string().max(1024)).max(256).optional(),
  ulimits: z.record(z.string().max(40), z.strictObject({ soft: z.int(), hard: z.int() })).optional(),
  /** Images whose steps are to count as known. */
  cacheFrom: z.array(z.string().min(1).max(512)).max(64).optional(),
  /** Of each RUN. */
  limits: z
    .strictObject({
      memoryBytes: bytes.optional(),
      memorySwapBytes: z.int().min(-1).optional(),
      cpuPeriodUs: z.int().positive().optional(),
      cpuQuotaUs: z.int().positive().optional(),
      cpuMillis: z.int().positive().optional(),
      cpuShares: z.int().positive().optional(),
      cpusetCpus: z.string().max(1024).optional(),
      cpusetMems: z.string().max(1024).optional(),
      shmBytes: bytes.optional(),
    })
    .default({}),
});
export type BuildRequestBody = z.input<typeof buildRequestSchema>;

/** By the host of the registry, as Docker's `X-Registry-Config` has it. Sent in a header of its own, never kept. */
export const buildRegistriesSchema = z.record(z.string().max(1024), registryAuthSchema);
export type BuildRegistriesBody = z.infer<typeof buildRegistriesSchema>;

const step = z.int();
const imageId = z.string().regex(/^sha256:[0-9a-f]{64}$/);

/** One line of a build's answer. `step` counts from 1; a failure is the last line. */
export const buildEventSchema = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('step'), step, total: z.int(), stage: z.int(), stageName: z.string().nullable(), text: z.string() }),
  z.object({ kind: z.literal('triggers'), step, count: z.int() }),
  z.object({ kind: z.literal('pull'), step, progress: z.object({ id: z.string().optional(), status: z.string() }) }),
  z.object({ kind: z.literal('running'), step, containerId: z.string() }),
  z.object({ kind: z.literal('log'), step, stream: z.enum(['stdout', 'stderr']), text: z.string() }),
  z.object({ kind: z.literal('removed'), step, containerId: z.string() }),
  z.object({ kind: z.literal('cached'), step }),
  z.object({ kind: z.literal('done'), step, imageId: imageId.nullable(), durationMs: z.number() }),
  z.object({ kind: z.literal('failed'), step, line: z.int(), durationMs: z.number() }),
  z.object({ kind: z.literal('warning'), message: z.string(), lint: z.object({ rule: z.string(), line: z.int(), column: z.int() }).optional() }),
  z.object({ kind: z.literal('built'), imageId }),
  z.object({ kind: z.literal('tagged'), name: z.string() }),
]);
export type BuildEventView = z.infer<typeof buildEventSchema>;
