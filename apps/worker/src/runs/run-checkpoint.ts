import { z } from 'zod';
import { finalRunStateSchema, runErrorSchema, stepResultSchema } from '#contracts';

/** A step's result without its output: that lies in the frames. */
export const stepSummarySchema = stepResultSchema.omit({ stdout: true, stderr: true, encoding: true });
export type StepSummary = z.infer<typeof stepSummarySchema>;

const streams = <T extends z.ZodType>(value: T) => z.object({ stdout: value, stderr: value });

/** The step in hand. */
export const stepProgressSchema = z.object({
  name: z.enum(['compile', 'run']),
  /** execve(2), milliseconds since the epoch: the wall clock of the step runs from here, whatever happens to the worker. */
  startedAtMs: z.number(),
  /** Of the cgroup, as the step began. */
  cpuBaseUs: z.number(),
  oomBase: z.number(),
  output: z.object({ held: streams(z.string()), truncated: streams(z.boolean()) }),
  exit: z.object({ exitCode: z.int().nullable(), signal: z.int().nullable(), timeMs: z.number() }).nullable(),
});
export type StepProgress = z.infer<typeof stepProgressSchema>;

/**
 * What a worker needs to go on with a run that another life of it began. It is written in one piece with the frames it belongs to:
 * all the agent's events up to `agentSeq` are in those frames or in here, so the agent may forget them.
 */
export const runCheckpointSchema = z.object({
  agentSeq: z.int(),
  /** The compile step, once it is over. */
  compile: stepSummarySchema.nullable(),
  step: stepProgressSchema.nullable(),
  /** Stands with the end frame: the outcome, to be published again if nobody knows whether it was. */
  outcome: z
    .object({
      state: finalRunStateSchema,
      failedStep: z.enum(['compile', 'run']).nullable(),
      compile: stepSummarySchema.nullable(),
      run: stepSummarySchema.nullable(),
      error: runErrorSchema.nullable(),
    })
    .nullable(),
});
export type RunCheckpoint = z.infer<typeof runCheckpointSchema>;

export const NO_CHECKPOINT: RunCheckpoint = { agentSeq: 0, compile: null, step: null, outcome: null };

/** Undefined when it is none of this version's: then the run cannot be taken up. */
export function parseCheckpoint(text: string): RunCheckpoint | undefined {
  try {
    return runCheckpointSchema.safeParse(JSON.parse(text)).data;
  } catch {
    return undefined;
  }
}
