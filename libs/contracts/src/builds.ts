import { z } from 'zod';
import { ERROR_CODES } from '#kernel';

/** Images from Dockerfiles: rows with a state, executed as jobs by the tenant's home node, their log a stream that can be taken up at any frame. */
export const BUILD_STATES = ['queued', 'running', 'succeeded', 'failed', 'timed_out', 'cancelled', 'lost', 'internal_error'] as const;
export const buildStateSchema = z.enum(BUILD_STATES);
export type BuildState = z.infer<typeof buildStateSchema>;
const FINAL_STATES = ['succeeded', 'failed', 'timed_out', 'cancelled', 'lost', 'internal_error'] as const satisfies readonly BuildState[];
export type FinalBuildState = (typeof FINAL_STATES)[number];

/** A longer text of an instruction is cut in what is kept of it; the log has all of it. */
export const MAX_STEP_TEXT = 200;
/** Steps that are told one by one; of a longer build the first. */
export const MAX_STEPS = 500;

export const buildStepSchema = z.object({
  step: z.int().describe('From 1 on, in the order of the file.'),
  stage: z.int().describe('From 0 on; -1: before the first.'),
  stageName: z.string().nullable(),
  text: z.string().describe('The instruction, cut after 200 characters.'),
  state: z.enum(['running', 'succeeded', 'failed', 'cancelled']),
  cached: z.boolean(),
  durationMs: z.number().nullable().describe('null until it is over.'),
  attempt: z.int().describe('2 and more: carried out when the build was taken up again after its node had died.'),
});
export type BuildStep = z.infer<typeof buildStepSchema>;

export const buildErrorSchema = z.object({
  code: z.enum(ERROR_CODES),
  message: z.string(),
  line: z.int().optional().describe('Of the Dockerfile, from 1 on.'),
  column: z.int().optional(),
  exitCode: z.int().optional().describe('Of the command that failed.'),
});
export type BuildError = z.infer<typeof buildErrorSchema>;

/** How a build ended, as its node reports it. */
export const buildOutcomeSchema = z.object({
  state: z.enum(FINAL_STATES),
  imageId: z.string().nullable(),
  /** Of its manifest. */
  digest: z.string().nullable(),
  error: buildErrorSchema.nullable(),
  steps: z.array(buildStepSchema).max(MAX_STEPS),
  warnings: z.array(z.string()).max(100),
  /** Of a Git repository, what was built. */
  commit: z.string().max(64).optional(),
});
export type BuildOutcome = z.infer<typeof buildOutcomeSchema>;

export const gitSourceSchema = z.strictObject({
  url: z
    .string()
    .min(1)
    .max(2048)
    .refine((url) => !/^[a-z][a-z0-9+.-]*:\/\/[^/?#]*:[^/?#]*@/i.test(url), 'holds a password: give it as the secret GIT_AUTH_TOKEN')
    .describe('Of a Git repository.'),
  ref: z.string().min(1).max(255).optional().describe('A branch, a tag or a commit; absent: what the repository itself names.'),
  subdir: z.string().min(1).max(4096).optional().describe('The folder that is the context; absent: all of it.'),
});

/** What is kept of a build's request: names of arguments and secrets, never their values. */
export const buildSpecSchema = z.object({
  /** `docker`: over Docker's API, executed while its client listens. */
  source: z.enum(['context', 'files', 'git', 'docker']),
  git: gitSourceSchema.nullable(),
  dockerfile: z.string(),
  target: z.string().nullable(),
  tags: z.array(z.string()),
  buildArgs: z.array(z.string()),
  secrets: z.array(z.string()),
  noCache: z.boolean(),
  pull: z.boolean(),
});
export type BuildSpec = z.infer<typeof buildSpecSchema>;

export const buildSummarySchema = z.object({
  id: z.string(),
  state: buildStateSchema,
  source: z.enum(['context', 'files', 'git', 'docker']).describe('docker: over Docker\'s API; it ends with its client.'),
  git: gitSourceSchema.nullable(),
  dockerfile: z.string().describe('Path in the context.'),
  target: z.string().nullable(),
  tags: z.array(z.string()),
  buildArgs: z.array(z.string()).describe('Names alone.'),
  secrets: z.array(z.string()).describe('Their ids alone.'),
  imageId: z.string().nullable(),
  digest: z.string().nullable().describe("Of the image's manifest."),
  error: buildErrorSchema.nullable(),
  commit: z.string().nullable().describe('Of a Git repository: what was built.'),
  warnings: z.array(z.string()),
  createdAt: z.iso.datetime(),
  startedAt: z.iso.datetime().nullable(),
  finishedAt: z.iso.datetime().nullable(),
});
export type BuildSummary = z.infer<typeof buildSummarySchema>;

export const buildViewSchema = buildSummarySchema.extend({ steps: z.array(buildStepSchema) });
export type BuildView = z.infer<typeof buildViewSchema>;

export const listBuildsQuerySchema = z.strictObject({
  state: buildStateSchema.optional(),
  limit: z.coerce.number().int().min(1).max(200).default(50),
  cursor: z.string().max(200).optional(),
});
export type ListBuildsQuery = z.infer<typeof listBuildsQuerySchema>;

export function isFinalBuildState(state: BuildState): state is FinalBuildState {
  return state !== 'queued' && state !== 'running';
}
