import { RUN_STATES, type ListRunsQuery, type Page, type RunState } from '#contracts';
import { CodedError, type RunId, type TenantId } from '#kernel';
import type { Pool } from 'pg';
import { canonicalHash } from './canonical-json.js';
import { decodeCursor, encodeCursor } from './cursor.js';
import type { PrismaClient } from './generated/client.js';
import type { NewRun, Run, RunHead, RunRepository } from './repositories.js';
import { HEAD_COLUMNS, headOf, RUN_COLUMNS, runOf, toJsonBytes, type RunRow } from './run-rows.js';
import { markFinished, markStarted, type RunEnd, type RunStart } from './run-transitions.js';

const INSERT = `
  insert into runs (id, tenant_id, state, runtime, labels, spec, spec_hash, idempotency_key, created_at)
  values ($1, $2, 'queued', $3, $4, $5, $6, $7, $8)
  on conflict (tenant_id, idempotency_key) do nothing returning id`;

const FIND = `select ${RUN_COLUMNS} from runs where tenant_id = $1 and id = $2`;

/** A tenant decides how large rows are: a page of 200 could hold gigabytes. */
const MAX_PAGE_BYTES = 16 * 1024 * 1024;

export class PostgresRunRepository implements RunRepository {
  readonly #prisma: PrismaClient;
  readonly #pool: Pool;

  constructor(prisma: PrismaClient, pool: Pool) {
    this.#prisma = prisma;
    this.#pool = pool;
  }

  async create(tenantId: TenantId, run: NewRun): Promise<{ run: Run; created: boolean }> {
    const { id, spec, createdAt, idempotencyKey } = run;
    const specHash = canonicalHash(spec);
    const values = [id, tenantId, spec.runtime, JSON.stringify(spec.labels), toJsonBytes(spec), specHash, idempotencyKey ?? null, createdAt];
    // The earlier run may be discarded between the two statements: then the key is free again.
    for (let attempt = 0; attempt < 3; attempt += 1) {
      const { rowCount } = await this.#pool.query({ name: 'runs-insert', text: INSERT, values });
      if (rowCount === 1) return { run: queued(tenantId, run), created: true };
      const earlier = idempotencyKey === undefined ? null : await this.#prisma.run.findUnique({ where: { tenantId_idempotencyKey: { tenantId, idempotencyKey } } });
      if (earlier === null) continue;
      if (!specHash.equals(earlier.specHash)) throw new CodedError('conflict', 'this idempotency key was used with another request', { runId: earlier.id });
      return { run: runOf(earlier), created: false };
    }
    throw new CodedError('unavailable', 'the idempotency key is in use by a request under way');
  }

  async find(tenantId: TenantId, id: RunId): Promise<Run | undefined> {
    // Not through Prisma, which passes bytes as base64: a large spec or outcome takes it three times as long.
    const { rows } = await this.#pool.query<RunRow>({ name: 'runs-find', text: FIND, values: [tenantId, id] });
    return rows[0] === undefined ? undefined : runOf(rows[0]);
  }

  async list(tenantId: TenantId, query: ListRunsQuery): Promise<Page<Run>> {
    const { where, values } = listFilter(tenantId, query);
    values.push(query.limit + 1, MAX_PAGE_BYTES, query.limit);
    const at = values.length;
    const { rows } = await this.#pool.query<RunRow & { more: boolean }>(
      `with page as materialized (
         select id, octet_length(spec) + coalesce(octet_length(outcome), 0) as bytes from runs where ${where} order by id desc limit $${at - 2}
       ), shown as materialized (
         select id, sum(bytes) over newest as total, row_number() over newest as place, count(*) over () as found from page window newest as (order by id desc)
       ), fitting as materialized (
         select id, found, place from shown where place <= $${at} and (place = 1 or total <= $${at - 1})
       )
       select ${RUN_COLUMNS}, fitting.found > (select count(*) from fitting) as more
       from fitting join runs using (id) order by runs.id desc`,
      values,
    );
    const last = rows.at(-1);
    return { items: rows.map(runOf), nextCursor: last?.more === true ? encodeCursor(last.id) : null };
  }

  async discard(tenantId: TenantId, id: RunId): Promise<void> {
    await this.#prisma.run.deleteMany({ where: { tenantId, id, state: 'queued' } });
  }

  async requestCancel(tenantId: TenantId, id: RunId, at: Date): Promise<Run> {
    await this.#prisma.run.updateMany({ where: { tenantId, id, finishedAt: null, cancelRequestedAt: null }, data: { cancelRequestedAt: at } });
    const run = await this.find(tenantId, id);
    if (run === undefined) throw new CodedError('not_found', 'no such run', { kind: 'run' });
    return run;
  }

  markStarted(starts: readonly RunStart[]): Promise<RunId[]> {
    return markStarted(this.#pool, starts);
  }

  markFinished(ends: readonly RunEnd[]): Promise<RunHead[]> {
    return markFinished(this.#pool, ends);
  }

  async listUnfinished(): Promise<RunHead[]> {
    const { rows } = await this.#pool.query<RunRow>(`select ${HEAD_COLUMNS} from runs where finished_at is null order by id`);
    return rows.map(headOf);
  }

  async countByState(tenantId: TenantId): Promise<Record<RunState, number>> {
    const groups = await this.#prisma.run.groupBy({ by: ['state'], where: { tenantId }, _count: true });
    const counts = new Map(groups.map((group) => [group.state, group._count]));
    return Object.fromEntries(RUN_STATES.map((state) => [state, counts.get(state) ?? 0])) as Record<RunState, number>;
  }

  async deleteFinishedBefore(before: Date, limit: number): Promise<number> {
    const { rowCount } = await this.#pool.query(
      'delete from runs where id in (select id from runs where finished_at < $1 order by finished_at limit $2 for update skip locked)',
      [before, limit],
    );
    return rowCount ?? 0;
  }
}

function queued(tenantId: TenantId, { id, spec, createdAt }: NewRun): Run {
  const notYet = { epoch: 0, nodeId: null, outcome: null, startedAt: null, finishedAt: null, cancelRequestedAt: null };
  return { id, tenantId, state: 'queued', spec, labels: spec.labels, createdAt, ...notYet };
}

function listFilter(tenantId: TenantId, query: ListRunsQuery): { where: string; values: unknown[] } {
  const values: unknown[] = [tenantId];
  const conditions = ['tenant_id = $1'];
  const add = (value: unknown, condition: (placeholder: string) => string): void => {
    values.push(value);
    conditions.push(condition(`$${values.length}`));
  };
  if (query.state !== undefined) add(query.state, (placeholder) => `state = ${placeholder}`);
  if (query.runtime !== undefined) add(query.runtime, (placeholder) => `runtime = ${placeholder}`);
  if (query.label !== undefined) add(labelFilter(query.label), (placeholder) => `labels @> ${placeholder}::jsonb`);
  if (query.cursor !== undefined) add(decodeCursor('run', query.cursor), (placeholder) => `id < ${placeholder}`);
  return { where: conditions.join(' and '), values };
}

/** `key=value`, cut at the first `=`, as the JSON object that a row's labels must contain. */
function labelFilter(label: string): string {
  const cut = label.indexOf('=');
  if (cut < 1) throw new CodedError('invalid_argument', 'label: must be key=value', { field: 'label' });
  return `{${JSON.stringify(label.slice(0, cut))}:${JSON.stringify(label.slice(cut + 1))}}`;
}
