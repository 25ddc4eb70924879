import type { RunOutcome } from '#contracts';
import type { NodeId, RunId, TenantId } from '#kernel';
import type { Pool, PoolClient } from 'pg';
import type { RunHead } from './repositories.js';
import { HEAD_COLUMNS, headOf, toJsonBytes } from './run-rows.js';

export interface RunStart {
  readonly tenantId: TenantId;
  readonly id: RunId;
  readonly nodeId: NodeId;
  readonly epoch: number;
  readonly at: Date;
}

export interface RunEnd {
  readonly tenantId: TenantId;
  readonly id: RunId;
  readonly epoch: number;
  readonly at: Date;
  readonly outcome: RunOutcome;
}

// Both statements lock the rows in the order of their ids before they change any, so that two batches that share runs cannot
// deadlock, and take one event per run: an UPDATE that joins a row twice would apply an arbitrary one.
const START = `
  with event as (
    select * from unnest($1::text[], $2::text[], $3::text[], $4::int[], $5::timestamptz[]) as event(tenant_id, id, node_id, epoch, at)
  ), locked as materialized (
    select id, tenant_id, state, epoch from runs where id = any($2::text[]) and finished_at is null order by id for update
  ), pick as (
    select distinct on (event.id) event.* from event join locked using (tenant_id, id)
    where (locked.state = 'queued' and locked.epoch <= event.epoch) or locked.epoch < event.epoch
    order by event.id, event.epoch desc, event.at
  )
  update runs set state = 'running', node_id = pick.node_id, epoch = pick.epoch, started_at = coalesce(runs.started_at, pick.at)
  from pick where runs.id = pick.id and runs.tenant_id = pick.tenant_id and runs.finished_at is null
  returning runs.id`;

const FINISH = `
  with event as (
    select * from unnest($1::text[], $2::text[], $3::int[], $4::timestamptz[], $5::text[], $6::bytea[])
      with ordinality as event(tenant_id, id, epoch, at, state, outcome, place)
  ), locked as materialized (
    select id, tenant_id, epoch from runs where id = any($2::text[]) and finished_at is null order by id for update
  ), pick as (
    select distinct on (event.id) event.* from event join locked using (tenant_id, id)
    where locked.epoch <= event.epoch
    order by event.id, event.place
  )
  update runs set state = pick.state, epoch = pick.epoch, finished_at = pick.at, outcome = pick.outcome
  from pick where runs.id = pick.id and runs.tenant_id = pick.tenant_id and runs.finished_at is null
  returning ${HEAD_COLUMNS}`;

/** A statement carries its outcomes as text twice their size: this bounds the memory that one takes here and in PostgreSQL. */
const MAX_STATEMENT_BYTES = 16 * 1024 * 1024;

export async function markStarted(pool: Pool, starts: readonly RunStart[]): Promise<RunId[]> {
  if (starts.length === 0) return [];
  const values = [starts.map((start) => start.tenantId), starts.map((start) => start.id), starts.map((start) => start.nodeId), starts.map((start) => start.epoch), starts.map((start) => start.at)];
  const { rows } = await pool.query<{ id: RunId }>({ name: 'runs-mark-started', text: START, values });
  return rows.map((row) => row.id);
}

export async function markFinished(pool: Pool, ends: readonly RunEnd[]): Promise<RunHead[]> {
  const chunks = chunksOf(ends);
  const [first] = chunks;
  if (first === undefined) return [];
  if (chunks.length === 1) return finishChunk(pool, first);
  const client = await pool.connect();
  let broken: Error | boolean = true;
  try {
    await client.query('begin');
    const changed: RunHead[] = [];
    for (const chunk of chunks) changed.push(...(await finishChunk(client, chunk)));
    await client.query('commit');
    broken = false;
    return changed;
  } finally {
    // A connection that is given back broken is closed, which rolls back.
    client.release(broken);
  }
}

interface EncodedEnd extends RunEnd {
  readonly bytes: Buffer;
}

async function finishChunk(client: Pool | PoolClient, ends: readonly EncodedEnd[]): Promise<RunHead[]> {
  const values = [
    ends.map((end) => end.tenantId),
    ends.map((end) => end.id),
    ends.map((end) => end.epoch),
    ends.map((end) => end.at),
    ends.map((end) => end.outcome.state),
    ends.map((end) => end.bytes),
  ];
  const { rows } = await client.query<Parameters<typeof headOf>[0]>({ name: 'runs-mark-finished', text: FINISH, values });
  return rows.map(headOf);
}

function chunksOf(ends: readonly RunEnd[]): EncodedEnd[][] {
  const chunks: EncodedEnd[][] = [];
  let room = 0;
  for (const end of ends) {
    const bytes = toJsonBytes(end.outcome);
    const chunk = chunks.at(-1);
    if (chunk === undefined || bytes.length > room) {
      chunks.push([{ ...end, bytes }]);
      room = MAX_STATEMENT_BYTES - bytes.length;
    } else {
      chunk.push({ ...end, bytes });
      room -= bytes.length;
    }
  }
  return chunks;
}
