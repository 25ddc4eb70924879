import type { NodeHeartbeat } from '#contracts';
import type { RunHead } from '#persistence';
import type { Claim } from '#queue';

/** A node says `ready: false` while it takes up what it held before its restart. Longer than this, it is as good as gone. */
const STARTING_MS = 30_000;
/** Younger rows are still being submitted by the gateway that inserted them. */
export const SUBMIT_MS = 2_000;

export interface Evidence {
  readonly run: RunHead;
  readonly claim: Claim | undefined;
  readonly hasJob: boolean;
  /** The heartbeat of the node that the claim or the row names. */
  readonly node: NodeHeartbeat | undefined;
  readonly now: number;
}

export type Judgement =
  /** It executes, or is about to; it takes one of its tenant's places. */
  | 'executing'
  /** It stands in its tenant's line, or should. */
  | 'waiting'
  /** Just inserted: whoever inserted it is not done. */
  | 'young'
  /** A worker took it, died before starting it, and no job is left to bring it to another. */
  | 'orphaned'
  /** Its node does not beat. */
  | 'node_gone'
  /** Its node beats and does not know it. */
  | 'unknown_to_node';

/** What one row is, from what the row, its claim, the queue and its node say. */
export function judge({ run, claim, hasJob, node, now }: Evidence): Judgement {
  const started = run.state === 'running' || claim?.phase === 'started';
  if (started) return judgeHeld(run, node, now);
  if (hasJob) return 'executing';
  if (claim === undefined) return now - run.createdAt.getTime() < SUBMIT_MS ? 'young' : 'waiting';
  const held = judgeHeld(run, node, now);
  if (held === 'node_gone' || node?.incarnation !== claim.incarnation) return 'orphaned';
  return held;
}

function judgeHeld(run: RunHead, node: NodeHeartbeat | undefined, now: number): 'executing' | 'node_gone' | 'unknown_to_node' {
  if (node === undefined) return 'node_gone';
  if (node.runIds.includes(run.id)) return 'executing';
  if (!node.ready && now - node.startedAt < STARTING_MS) return 'executing';
  return 'unknown_to_node';
}
