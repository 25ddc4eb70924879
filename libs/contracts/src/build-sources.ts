import { z } from 'zod';
import { buildOptionsSchema } from './build-requests.js';
import { gitSourceSchema } from './builds.js';
import { refPatternSchema, refRuleSchema } from './ref-rules.js';
import { fitsRule, tagTemplateSchema } from './tag-templates.js';

/** Automatic builds: a repository that is registered once; each push to it that its rule names builds and names an image. */
const MAX_SEALED_BYTES = 256 * 1024;

const { shape } = buildOptionsSchema;
const UNFIT = 'holds {branch} although tags build, or {tag} although branches do';

export const buildSourceNameSchema = z.string().regex(/^[a-z0-9](?:[a-z0-9._-]{0,61}[a-z0-9])?$/, '1 to 63 of a-z, 0-9, dot, _ and -, not at the ends').refine((name) => !name.startsWith('bsr_'), 'begins as ids do');

const fields = {
  git: z.strictObject({ url: gitSourceSchema.shape.url, subdir: gitSourceSchema.shape.subdir }).describe('Cloned from here, whatever a push says.'),
  on: refRuleSchema.describe('The pushes that build.'),
  dockerfile: shape.dockerfile,
  target: shape.target,
  tags: z.array(tagTemplateSchema).min(1).max(32).describe('Names of the image. Their tags may hold {branch} or {tag}, {sha} and {sha7}.'),
  labels: shape.labels.unwrap(),
  noCache: shape.noCache.unwrap(),
  pull: shape.pull.unwrap(),
  platform: shape.platform,
  network: shape.network.unwrap(),
};
const values = {
  buildArgs: shape.buildArgs.unwrap().describe('Shown by their names alone.'),
  secrets: shape.secrets.unwrap().describe('For RUN --mount=type=secret: id → text, or `{content, encoding}`. `GIT_AUTH_TOKEN` also opens the repository. Never shown again.'),
  registries: shape.registries.unwrap().describe('Credentials of private registries by their host. Never shown again.'),
};

/** What is kept of a source in the clear. */
export const buildSourceSpecSchema = z
  .strictObject({ ...fields, buildArgs: z.array(z.string()), secrets: z.array(z.string()), registries: z.array(z.string()) })
  .refine(({ on, tags }) => tags.every((tag) => fitsRule(tag, on)), { path: ['tags'], error: UNFIT });
export type BuildSourceSpec = z.infer<typeof buildSourceSpecSchema>;

/** What is kept of it sealed. */
export const buildSourceValuesSchema = z.strictObject(values).refine((all) => Buffer.byteLength(JSON.stringify(all)) <= MAX_SEALED_BYTES, `arguments, secrets and credentials together hold more than ${MAX_SEALED_BYTES} bytes`);
export type BuildSourceValues = z.infer<typeof buildSourceValuesSchema>;

export const createBuildSourceSchema = z.strictObject({
  name: buildSourceNameSchema,
  ...fields,
  on: fields.on.default({ branch: 'main' }),
  labels: fields.labels.default({}),
  noCache: fields.noCache.default(false),
  pull: fields.pull.default(false),
  network: fields.network.default('default'),
  buildArgs: values.buildArgs.default({}),
  secrets: values.secrets.default({}),
  registries: values.registries.default({}),
});
export type CreateBuildSource = z.infer<typeof createBuildSourceSchema>;
export type CreateBuildSourceInput = z.input<typeof createBuildSourceSchema>;

/** What is given takes the place of what was; `null`: as if it had never been given. */
export const updateBuildSourceSchema = z
  .strictObject({ ...fields, ...values })
  .partial()
  .extend({ dockerfile: fields.dockerfile.nullable(), target: fields.target.nullable(), platform: fields.platform.nullable() });
export type UpdateBuildSource = z.infer<typeof updateBuildSourceSchema>;
export type UpdateBuildSourceInput = z.input<typeof updateBuildSourceSchema>;

const commitSchema = z.string().regex(/^[0-9a-f]{40}$/, 'must be the 40 hex digits of a commit');

/** A build without a push. */
export const buildNowSchema = z
  .strictObject({
    branch: refPatternSchema.optional().describe('Absent: that of the rule, when it names one.'),
    tag: refPatternSchema.optional(),
    commit: commitSchema.optional().describe('Absent: what the branch or the tag is then; names of the image that hold the commit are left out.'),
  })
  .refine(({ branch, tag }) => branch === undefined || tag === undefined, 'give a branch or a tag');
export type BuildNow = z.infer<typeof buildNowSchema>;

export const DELIVERY_STATES = ['received', 'built', 'ignored', 'failed'] as const;

export const buildDeliveryViewSchema = z.object({
  id: z.string(),
  event: z.string().describe('As its sender calls it.'),
  ref: z.string().nullable(),
  commit: z.string().nullable(),
  state: z.enum(DELIVERY_STATES).describe('built: a build was queued for it. failed: it can be delivered again.'),
  reason: z.string().nullable().describe('Why it was ignored, or failed.'),
  buildId: z.string().nullable(),
  receivedAt: z.iso.datetime(),
});
export type BuildDeliveryView = z.infer<typeof buildDeliveryViewSchema>;

export const buildSourceViewSchema = z.object({
  id: z.string(),
  name: z.string(),
  ...fields,
  dockerfile: z.string(),
  target: z.string().nullable(),
  platform: z.string().nullable(),
  buildArgs: z.array(z.string()).describe('Names alone.'),
  secrets: z.array(z.string()).describe('Their ids alone.'),
  registries: z.array(z.string()).describe('Hosts alone.'),
  webhookPath: z.string().describe('Of this server: where the repository’s host sends its pushes.'),
  createdAt: z.iso.datetime(),
  lastDeliveryAt: z.iso.datetime().nullable(),
  lastBuildId: z.string().nullable(),
});
export type BuildSourceView = z.infer<typeof buildSourceViewSchema>;

/** The only answers that hold the secret. */
export const createdBuildSourceSchema = buildSourceViewSchema.extend({ webhookSecret: z.string().describe('Shown this once.') });
export type CreatedBuildSource = z.infer<typeof createdBuildSourceSchema>;

export const listBuildSourcesQuerySchema = z.strictObject({
  limit: z.coerce.number().int().min(1).max(200).default(50),
  cursor: z.string().max(200).optional(),
});
export type ListBuildSourcesQuery = z.infer<typeof listBuildSourcesQuerySchema>;
