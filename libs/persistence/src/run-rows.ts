import type { CreateRun, RunOutcome, RunState } from '#contracts';
import type { NodeId, RunId, TenantId } from '#kernel';
import type { Run, RunHead } from './repositories.js';

interface HeadRow {
  readonly id: string;
  readonly tenantId: string;
  readonly state: string;
  readonly runtime: string;
  readonly epoch: number;
  readonly nodeId: string | null;
  readonly createdAt: Date;
  readonly startedAt: Date | null;
  readonly finishedAt: Date | null;
  readonly cancelRequestedAt: Date | null;
}

export interface RunRow extends HeadRow {
  readonly spec: Uint8Array;
  readonly outcome: Uint8Array | null;
}

/** Columns of a `HeadRow`, of the table `runs` under that name. */
export const HEAD_COLUMNS = `
  runs.id, runs.tenant_id as "tenantId", runs.state, runs.runtime, runs.epoch, runs.node_id as "nodeId", runs.created_at as "createdAt",
  runs.started_at as "startedAt", runs.finished_at as "finishedAt", runs.cancel_requested_at as "cancelRequestedAt"`;
export const RUN_COLUMNS = `${HEAD_COLUMNS}, runs.spec, runs.outcome`;

export function headOf(row: HeadRow): RunHead {
  const { state, runtime, epoch, createdAt, startedAt, finishedAt, cancelRequestedAt } = row;
  return {
    id: row.id as RunId,
    tenantId: row.tenantId as TenantId,
    nodeId: row.nodeId as NodeId | null,
    state: state as RunState,
    runtime,
    epoch,
    createdAt,
    startedAt,
    finishedAt,
    cancelRequestedAt,
  };
}

export function runOf(row: RunRow): Run {
  const { id, tenantId, nodeId, state, epoch, createdAt, startedAt, finishedAt, cancelRequestedAt } = headOf(row);
  const spec = fromJsonBytes(row.spec) as CreateRun;
  const outcome = row.outcome === null ? null : (fromJsonBytes(row.outcome) as RunOutcome);
  return { id, tenantId, state, spec, labels: spec.labels, epoch, nodeId, outcome, createdAt, startedAt, finishedAt, cancelRequestedAt };
}

export function toJsonBytes(value: unknown): Buffer {
  return Buffer.from(JSON.stringify(value));
}

function fromJsonBytes(bytes: Uint8Array): unknown {
  return JSON.parse(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8'));
}
