import { z } from 'zod';
import { gitSourceSchema } from './builds.js';
import { buildRegistriesSchema, buildRequestSchema } from './host-builds.js';
import { encodingSchema, runFileSchema, workPathSchema } from './runs.js';
import { tenantLimitsSchema } from './tenants.js';

const MAX_INLINE_FILES = 1000;
/** Of files that stand in the request itself. */
export const MAX_INLINE_BYTES = 4 * 1024 * 1024;
const MAX_SECRETS = 64;
const MAX_SECRET_BYTES = 512 * 1024;

const BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;
const storable = (schema: z.ZodString) => schema.refine((value) => value.isWellFormed() && !value.includes('\0'), 'holds a NUL character or is not valid Unicode');

const secretSchema = z
  .union([z.string().transform((content) => ({ content, encoding: 'utf8' as const })), z.strictObject({ content: z.string(), encoding: encodingSchema.default('utf8') })])
  .refine(({ content, encoding }) => (encoding === 'utf8' ? content.isWellFormed() : BASE64.test(content)), 'is not valid in its encoding')
  .refine(({ content, encoding }) => Buffer.byteLength(content, encoding) <= MAX_SECRET_BYTES, `holds more than ${MAX_SECRET_BYTES} bytes`);

/** `{id: text}` or `{id: {content, encoding}}`: handed to the steps that mount them, kept nowhere beyond the build. */
export const buildSecretsSchema = z.record(storable(z.string().min(1).max(255)), secretSchema).refine((secrets) => Object.keys(secrets).length <= MAX_SECRETS, `holds more than ${MAX_SECRETS} secrets`);
export type BuildSecrets = z.infer<typeof buildSecretsSchema>;

const { shape } = buildRequestSchema;

/** What is to be built, beside the context. */
export const buildOptionsSchema = z.strictObject({
  dockerfile: storable(z.string().min(1).max(4096)).optional().describe('Path in the context; absent: Dockerfile.'),
  target: storable(z.string().min(1).max(1024)).optional().describe('Name or number of a stage; absent: the last.'),
  tags: z.array(storable(z.string().min(1).max(512))).max(32).default([]).describe('Names of the image.'),
  buildArgs: shape.buildArgs,
  labels: shape.labels,
  noCache: shape.noCache.describe('Every step anew.'),
  pull: shape.pull.describe('Bases are fetched although they are here.'),
  platform: shape.platform,
  network: shape.network.describe("Of each RUN: `default` (the tenant's bridge), `none`, or a network of the tenant's."),
  extraHosts: shape.extraHosts.describe('`name:address`, of each RUN.'),
  cacheFrom: shape.cacheFrom.describe('Images that steps are taken from where they are the same, in this build alone: whoever built them, if that was done by this software. One that is not here is pulled; of one that is of no use a warning tells.'),
  secrets: buildSecretsSchema.default({}).describe('For RUN --mount=type=secret: id → text, or `{content, encoding}`. Never kept beyond the build, in no layer, log or cache key.'),
  registries: buildRegistriesSchema.default({}).describe('Credentials of private registries by their host. Never kept beyond the build.'),
});
export type BuildOptions = z.infer<typeof buildOptionsSchema>;
export type BuildOptionsInput = z.input<typeof buildOptionsSchema>;

export const createBuildSchema = buildOptionsSchema
  .extend({
    dockerfileInline: storable(z.string().min(1).max(1024 * 1024)).optional().describe('The Dockerfile itself, in the place of the one in `files`.'),
    files: z.record(workPathSchema, runFileSchema).optional().describe('The context: path → content.'),
    git: gitSourceSchema.optional().describe('The context is what a Git repository has.'),
  })
  .refine(({ files, dockerfileInline, git }) => (git === undefined) !== (files === undefined && dockerfileInline === undefined), 'give files (or dockerfileInline) or git')
  .refine(({ files = {} }) => Object.keys(files).length <= MAX_INLINE_FILES, { path: ['files'], error: `holds more than ${MAX_INLINE_FILES} files` })
  .refine(({ files = {} }) => inlineBytes(files) <= MAX_INLINE_BYTES, { path: ['files'], error: `holds more than ${MAX_INLINE_BYTES} bytes: send a tar` });
export type CreateBuild = z.infer<typeof createBuildSchema>;
export type CreateBuildInput = z.input<typeof createBuildSchema>;

function inlineBytes(files: Readonly<Record<string, z.infer<typeof runFileSchema>>>): number {
  return Object.values(files).reduce((sum, file) => sum + (typeof file === 'string' ? Buffer.byteLength(file) : Buffer.byteLength(file.content, file.encoding)), 0);
}

/** What a node keeps of a build until it is over, beside its context: on the tenant's disk there, and nowhere else. */
export const buildParcelSchema = z.strictObject({
  request: buildRequestSchema,
  registries: buildRegistriesSchema,
  secrets: buildSecretsSchema,
  source: z.discriminatedUnion('kind', [
    /** A tar that is sent after it. */
    z.strictObject({ kind: z.literal('context') }),
    z.strictObject({ kind: z.literal('files'), files: z.record(workPathSchema, runFileSchema) }),
    gitSourceSchema.extend({ kind: z.literal('git') }),
  ]),
});
export type BuildParcel = z.infer<typeof buildParcelSchema>;
export type BuildParcelBody = z.input<typeof buildParcelSchema>;

/** A hint, as every job: the row says whether it is wanted, the node has what is to be built. */
export const buildJobSchema = z.object({
  buildId: z.string(),
  tenantId: z.string(),
  requestId: z.string(),
  /** As they were when it was queued. */
  tenantLimits: tenantLimitsSchema,
});
export type BuildJob = z.infer<typeof buildJobSchema>;
