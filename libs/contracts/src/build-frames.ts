import { z } from 'zod';
import { buildErrorSchema, buildOutcomeSchema, buildStateSchema, buildStepSchema } from './builds.js';

const frame = { seq: z.int().positive(), /** Milliseconds since the epoch. */ time: z.int() };
/** A build that is taken up again after its node died counts its attempts: a step that was begun in an earlier one and is not over never will be. */
const ofStep = { ...frame, attempt: z.int().positive(), step: z.int() };

/** `seq` rises by one from frame to frame of a build, starting at 1. Steps of independent stages come in between each other. */
export const buildFrameSchema = z.discriminatedUnion('type', [
  z.object({ type: z.literal('step.started'), ...ofStep, total: z.int(), stage: z.int(), stageName: z.string().nullable(), text: z.string() }),
  z.object({ type: z.literal('output'), ...ofStep, stream: z.enum(['stdout', 'stderr']), data: z.string() }),
  /** Of a base image that is fetched: `id` is a layer. */
  z.object({ type: z.literal('pull'), ...ofStep, id: z.string().nullable(), status: z.string() }),
  z.object({ type: z.literal('step.finished'), ...ofStep, state: z.enum(['succeeded', 'failed', 'cancelled']), cached: z.boolean(), durationMs: z.number() }),
  /** `rule`, with its place: of a check of the Dockerfile. */
  z.object({ type: z.literal('warning'), ...frame, message: z.string(), rule: z.string().optional(), line: z.int().optional(), column: z.int().optional() }),
  /** From here on the log has no output any more: there was too much of it. */
  z.object({ type: z.literal('clipped'), ...frame, maxBytes: z.int() }),
  /** The last frame. A stream that ends without one is not complete: reconnect with `?after=<last seq>`. */
  z.object({ type: z.literal('end'), ...frame, state: buildStateSchema, imageId: z.string().nullable(), error: buildErrorSchema.nullable() }),
]);
export type BuildFrame = z.infer<typeof buildFrameSchema>;
export type BuildEndFrame = Extract<BuildFrame, { type: 'end' }>;

/** What a node keeps beside the log of a build, in step with it: what a further attempt, or a reader in the middle, goes on from. */
const buildCheckpointSchema = z.object({
  attempt: z.int().positive(),
  /** Attempts that were begun and not given up in order: their worker died, or still works. */
  unended: z.int().nonnegative(),
  /** Of the first attempt, milliseconds since the epoch: the time limit counts from there. */
  startedAt: z.int(),
  outputBytes: z.int(),
  clipped: z.boolean(),
  steps: z.array(buildStepSchema),
  warnings: z.array(z.string()),
  /** Of a Git repository. */
  commit: z.string().optional(),
  /** With the end frame. */
  outcome: buildOutcomeSchema.optional(),
});
export type BuildCheckpoint = z.infer<typeof buildCheckpointSchema>;

/** As it lies beside the log. Undefined when it is not what a node wrote. */
export function parseBuildCheckpoint(text: string): BuildCheckpoint | undefined {
  try {
    return buildCheckpointSchema.safeParse(JSON.parse(text)).data;
  } catch {
    return undefined;
  }
}
