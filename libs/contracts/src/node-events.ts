import { z } from 'zod';
import { buildOutcomeSchema } from './builds.js';
import { operationOutcomeSchema } from './operations.js';
import { availableRuntimeSchema } from './runtimes.js';
import { RUN_STATES, runErrorSchema, stepResultSchema, type FinalRunState } from './runs.js';

const finalStates = RUN_STATES.filter((state): state is FinalRunState => state !== 'queued' && state !== 'running');
export const finalRunStateSchema = z.enum(finalStates as [FinalRunState, ...FinalRunState[]]);

/** The outcome of a run as a node reports it. */
export const runOutcomeSchema = z.object({
  state: finalRunStateSchema,
  failedStep: z.enum(['compile', 'run']).nullable(),
  compile: stepResultSchema.nullable(),
  run: stepResultSchema.nullable(),
  error: runErrorSchema.nullable(),
});
export type RunOutcome = z.infer<typeof runOutcomeSchema>;

/** As far as the row's columns hold them: what no row can take would come again for ever. */
const claimed = {
  runId: z.string(),
  tenantId: z.string(),
  nodeId: z.string(),
  epoch: z.int32().nonnegative(),
  /** Milliseconds since the epoch, up to the year 9999. */
  time: z.int().min(0).max(253_402_300_799_999),
};

/** No fence: an operation or a build is its tenant's home node's alone. */
const reported = { tenantId: claimed.tenantId, nodeId: claimed.nodeId, time: claimed.time };
const operated = { operationId: z.string(), ...reported };
const built = { buildId: z.string(), ...reported };

/**
 * What nodes tell the control side over the events stream: at least once, in order per run. `epoch` is the number of the claim
 * (fencing): an event of an older claim than the row's is dropped.
 */
export const nodeEventSchema = z.discriminatedUnion('type', [
  z.object({ type: z.literal('run.started'), ...claimed }),
  z.object({ type: z.literal('run.finished'), ...claimed, outcome: runOutcomeSchema }),
  z.object({ type: z.literal('operation.started'), ...operated }),
  z.object({ type: z.literal('operation.finished'), ...operated, outcome: operationOutcomeSchema }),
  z.object({ type: z.literal('build.started'), ...built }),
  z.object({ type: z.literal('build.finished'), ...built, outcome: buildOutcomeSchema }),
]);
export type NodeEvent = z.infer<typeof nodeEventSchema>;
export type RunEvent = Extract<NodeEvent, { runId: string }>;
export type OperationEvent = Extract<NodeEvent, { operationId: string }>;
export type BuildNodeEvent = Extract<NodeEvent, { buildId: string }>;

/** What a node says of itself every two seconds; the key expires when it stops saying so. */
export const nodeHeartbeatSchema = z.object({
  nodeId: z.string(),
  /** Rises with each start of the worker on that node. */
  incarnation: z.string(),
  /** Where its RPC listens: `unix:/path` or `http://host:port`. */
  rpcUrl: z.string(),
  startedAt: z.int(),
  /** Every run this node holds, from claim to reported end. */
  runIds: z.array(z.string()),
  /** Likewise every build; absent: none. */
  buildIds: z.array(z.string()).optional(),
  runtimes: z.array(z.object({ name: z.string(), title: z.string(), aliases: z.array(z.string()), version: z.string(), mainFile: z.string(), compiled: z.boolean() })),
  /** Defined there, not installed. */
  availableRuntimes: z.array(availableRuntimeSchema).default([]),
  /** False while it starts or drains: it takes no runs. */
  ready: z.boolean(),
});
export type NodeHeartbeat = z.infer<typeof nodeHeartbeatSchema>;
