import type { RuntimeDefinition } from '#contracts';
import type { Clock, Digest, Logger, NodeId, RunId } from '#kernel';
import type { NodeEvents, RunClaims, RunLogStream } from '#queue';
import type { ActiveRuns } from './active-runs.js';
import type { SandboxSource } from './sandbox-source.js';

/**
 * The points of a run between which the worker may die. What has been reached is in Redis, in the engine or in the guest; a worker
 * that starts afterwards goes on from there.
 */
export const MILESTONES = ['taken', 'created', 'connected', 'prepared', 'claimed', 'started', 'executed', 'ended', 'published', 'destroyed'] as const;
export type Milestone = (typeof MILESTONES)[number];

/** Which runtimes this node has. */
export interface RuntimeResolver {
  /** By name or alias. Undefined: this node has none of that name. */
  resolve(name: string): { readonly definition: RuntimeDefinition; readonly chainId: Digest } | undefined;
}

/** What everything that handles runs stands on. */
export interface RunServices {
  readonly node: { readonly nodeId: NodeId; readonly incarnation: string };
  readonly claims: RunClaims;
  readonly logs: RunLogStream;
  readonly events: NodeEvents;
  readonly sandboxes: SandboxSource;
  readonly runtimes: RuntimeResolver;
  readonly active: ActiveRuns;
  readonly clock: Clock;
  readonly logger: Logger;
  /** The worker gives everything up: no more tries. */
  readonly signal: AbortSignal;
  /** Awaited at each milestone; for timing, and for tests that end a worker there. */
  readonly reached: (runId: RunId, milestone: Milestone) => void | Promise<void>;
}
