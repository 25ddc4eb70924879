import { z } from 'zod';
import { createRunSchema } from './runs.js';
import { tenantLimitsSchema } from './tenants.js';

/** The payload of a job on the queue `runs`. A hint: the row is the truth, and the claim (libs/queue) decides who executes. */
export const runJobSchema = z.object({
  runId: z.string(),
  tenantId: z.string(),
  requestId: z.string(),
  spec: createRunSchema,
  /** Of the tenant, for its cgroup on the node. */
  tenantLimits: tenantLimitsSchema,
});
export type RunJob = z.infer<typeof runJobSchema>;
