import { z } from 'zod';
import { isId, type RunId, type TenantId } from '#kernel';
import type { PlannedStep, RunPlan } from './run-plan.js';

/** The annotation of a sandbox that says which run it is for. */
export const RUN_ANNOTATION = 'sandbar.run';
/** The engine takes 1 MiB for all annotations. */
const MAX_ANNOTATION_BYTES = 900 * 1024;

const limitsSchema = z.object({
  cpuTimeMs: z.number(),
  wallTimeMs: z.number(),
  memoryBytes: z.number(),
  pids: z.number(),
  cpuMillis: z.number(),
  openFiles: z.number(),
  outputBytes: z.number(),
});

const stepSchema = z.object({
  name: z.enum(['compile', 'run']),
  processId: z.union([z.literal(1), z.literal(2)]),
  argv: z.array(z.string()),
  env: z.array(z.string()),
  uid: z.int(),
  limits: limitsSchema,
  stdin: z.boolean(),
}) satisfies z.ZodType<PlannedStep>;

/** All that a restarted worker needs to go on with a started run. Files are not in it: they were written before it started. */
export const runAnnotationSchema = z.object({
  version: z.literal(1),
  runId: z.string().refine((id): id is RunId => isId('run', id)),
  tenantId: z.string().refine((id): id is TenantId => isId('tenant', id)),
  requestId: z.string(),
  epoch: z.int(),
  /** null: too large to be kept. Such a run is lost when the worker restarts. */
  plan: z.object({ steps: z.array(stepSchema), stdin: z.base64(), stdinOpen: z.boolean() }).nullable(),
});
export type RunAnnotation = z.infer<typeof runAnnotationSchema>;

export function annotate(identity: Pick<RunAnnotation, 'runId' | 'tenantId' | 'requestId' | 'epoch'>, plan: RunPlan): Record<string, string> {
  const { steps, stdin, stdinOpen } = plan;
  const base = { version: 1, ...identity };
  if (stdin.length < MAX_ANNOTATION_BYTES) {
    const text = JSON.stringify({ ...base, plan: { steps, stdin: stdin.toString('base64'), stdinOpen } });
    if (Buffer.byteLength(text) <= MAX_ANNOTATION_BYTES) return { [RUN_ANNOTATION]: text };
  }
  return { [RUN_ANNOTATION]: JSON.stringify({ ...base, plan: null }) };
}

/** Undefined when the sandbox is not a run's, or another version's. */
export function readAnnotation(annotations: Readonly<Record<string, string>>): RunAnnotation | undefined {
  const text = annotations[RUN_ANNOTATION];
  if (text === undefined) return undefined;
  try {
    return runAnnotationSchema.safeParse(JSON.parse(text)).data;
  } catch {
    return undefined;
  }
}
