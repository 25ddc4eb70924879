import { jest } from '@jest/globals';
import type { CreateRun } from '#contracts';
import { newId, silentLogger, type NodeId, type RunId, type TenantId } from '#kernel';
import { anOutcome, aRunSpec, aStepResult, aTenant, startTestPostgres, type TestPostgres } from '#testing';
import { openRepositories } from './open-repositories.js';
import type { Repositories, Run } from './repositories.js';

const MiB = 1024 * 1024;
const nodeId: NodeId = newId('node');
const at = (ms: number): Date => new Date(1_700_000_000_000 + ms);

// Some rows here are as large as rows get.
jest.setTimeout(30_000);

describe('runs', () => {
  let postgres: TestPostgres;
  let repositories: Repositories;
  let tenantId: TenantId;

  beforeAll(async () => {
    postgres = await startTestPostgres();
    repositories = await openRepositories({ databaseUrl: postgres.url, logger: silentLogger });
  });
  afterAll(async () => {
    await repositories.close();
    await postgres.stop();
  });
  beforeEach(async () => {
    const tenant = aTenant();
    await repositories.tenants.create(tenant);
    tenantId = tenant.id;
  });

  async function create(spec: CreateRun = aRunSpec(), idempotencyKey?: string): Promise<Run> {
    const { run } = await repositories.runs.create(tenantId, { id: newId('run'), spec, createdAt: at(0), idempotencyKey });
    return run;
  }
  const find = async (id: RunId): Promise<Run> => (await repositories.runs.find(tenantId, id))!;
  const start = (id: RunId, epoch: number, ms = 10): Promise<RunId[]> => repositories.runs.markStarted([{ tenantId, id, nodeId, epoch, at: at(ms) }]);
  const finish = (id: RunId, epoch: number, ms = 20, outcome = anOutcome()) => repositories.runs.markFinished([{ tenantId, id, epoch, at: at(ms), outcome }]);

  describe('create', () => {
    it('gives the queued row that find gives', async () => {
      const run = await create(aRunSpec({ labels: { team: 'a' } }));
      expect(run).toEqual({ id: run.id, tenantId, state: 'queued', spec: aRunSpec({ labels: { team: 'a' } }), labels: { team: 'a' }, epoch: 0, nodeId: null, outcome: null, createdAt: at(0), startedAt: null, finishedAt: null, cancelRequestedAt: null });
      expect(await find(run.id)).toEqual(run);
    });

    it.each<[string, Partial<CreateRun>]>([
      ['NUL characters', { code: 'print("\0")\0', stdin: '\0\0', files: { 'a.py': '\0' } }],
      ['what JSON and SQL escape', { code: `\\u0000 \u0001\u007f\u2028 ' " \\ \n\r\t $1 {} 😀 \ufeff\uffff` }],
      ['keys that JavaScript knows', { files: JSON.parse('{"__proto__":"x","constructor":"y"}') as Record<string, string> }],
      ['8 MiB', { code: `#${'é'.repeat(4 * MiB - 1)}` }],
      ['8 MiB of NUL', { code: '\0'.repeat(8 * MiB) }],
    ])('keeps %s exactly', async (_, change) => {
      const spec = { ...aRunSpec(), ...change };
      const { id } = await create(spec);
      expect(JSON.stringify((await find(id)).spec) === JSON.stringify(spec)).toBe(true);
    });

    it('refuses a tenant that is not there, and an id that is', async () => {
      const run = { id: newId('run'), spec: aRunSpec(), createdAt: at(0) };
      await expect(repositories.runs.create(newId('tenant'), run)).rejects.toMatchObject({ code: 'not_found' });
      const { id } = await create();
      await expect(repositories.runs.create(tenantId, { ...run, id })).rejects.toMatchObject({ code: 'already_exists' });
    });

    it('refuses labels that PostgreSQL cannot store', async () => {
      for (const label of ['\0', '\ud800']) await expect(create({ ...aRunSpec(), labels: { label } })).rejects.toMatchObject({ code: 'invalid_argument' });
    });
  });

  describe('idempotency', () => {
    it('gives the earlier run back for the same request, whatever the order of its keys', async () => {
      const first = await create(aRunSpec({ env: { A: '1', B: '2' } }), 'key');
      const again = await repositories.runs.create(tenantId, { id: newId('run'), spec: aRunSpec({ env: { B: '2', A: '1' } }), createdAt: at(5), idempotencyKey: 'key' });
      expect(again).toEqual({ run: first, created: false });
    });

    it('refuses the key with another request', async () => {
      const first = await create(aRunSpec(), 'key');
      await expect(create(aRunSpec({ code: 'print(1)' }), 'key')).rejects.toMatchObject({ code: 'conflict', details: { runId: first.id } });
    });

    it('inserts once for many at the same time', async () => {
      const made = await Promise.all(Array.from({ length: 20 }, () => repositories.runs.create(tenantId, { id: newId('run'), spec: aRunSpec(), createdAt: at(0), idempotencyKey: 'race' })));
      expect(made.filter(({ created }) => created)).toHaveLength(1);
      expect(new Set(made.map(({ run }) => run.id)).size).toBe(1);
    });

    it('frees the key with the run', async () => {
      const first = await create(aRunSpec(), 'key');
      await repositories.runs.discard(tenantId, first.id);
      expect((await create(aRunSpec({ code: 'print(1)' }), 'key')).id).not.toBe(first.id);
    });
  });

  describe('transitions', () => {
    it('queued → running → final', async () => {
      const { id } = await create();
      expect(await start(id, 1)).toEqual([id]);
      expect(await find(id)).toMatchObject({ state: 'running', epoch: 1, nodeId, startedAt: at(10), finishedAt: null });
      const outcome = anOutcome({ state: 'failed', failedStep: 'run', run: aStepResult({ stdout: 'a\0b', stderr: '\0', exitCode: 1 }) });
      expect(await finish(id, 1, 20, outcome)).toEqual([
        { id, tenantId, state: 'failed', runtime: 'python', epoch: 1, nodeId, createdAt: at(0), startedAt: at(10), finishedAt: at(20), cancelRequestedAt: null },
      ]);
      expect(await find(id)).toMatchObject({ state: 'failed', finishedAt: at(20), outcome });
    });

    it('a final row never changes', async () => {
      const { id } = await create();
      await start(id, 1);
      await finish(id, 1);
      const final = await find(id);
      expect(await start(id, 2)).toEqual([]);
      expect(await finish(id, 1, 30, anOutcome({ state: 'lost' }))).toEqual([]);
      expect(await finish(id, 7, 30, anOutcome({ state: 'lost' }))).toEqual([]);
      await repositories.runs.discard(tenantId, id);
      expect(await repositories.runs.requestCancel(tenantId, id, at(40))).toEqual(final);
      expect(await find(id)).toEqual(final);
    });

    it('repeated and older starts change nothing, a newer claim moves the fence', async () => {
      const { id } = await create();
      await start(id, 2);
      expect(await start(id, 2, 11)).toEqual([]);
      expect(await start(id, 1, 11)).toEqual([]);
      expect(await find(id)).toMatchObject({ epoch: 2, startedAt: at(10) });
      expect(await start(id, 3, 12)).toEqual([id]);
      expect(await find(id)).toMatchObject({ state: 'running', epoch: 3, startedAt: at(10) });
    });

    it('an older epoch does not finish a run', async () => {
      const { id } = await create();
      await start(id, 2);
      expect(await finish(id, 1, 20, anOutcome({ state: 'failed' }))).toEqual([]);
      expect((await find(id)).state).toBe('running');
      expect(await finish(id, 2)).toHaveLength(1);
    });

    it('a finish may come without its start', async () => {
      const { id } = await create();
      expect(await finish(id, 0, 20, anOutcome({ state: 'cancelled', run: null }))).toHaveLength(1);
      expect(await find(id)).toMatchObject({ state: 'cancelled', startedAt: null });
    });

    it('takes the first that counts of several ends in one batch', async () => {
      const { id } = await create();
      await start(id, 2);
      const end = { tenantId, id, at: at(20) };
      const changed = await repositories.runs.markFinished([
        { ...end, epoch: 1, outcome: anOutcome({ state: 'failed' }) },
        { ...end, epoch: 2, outcome: anOutcome({ state: 'timed_out' }) },
        { ...end, epoch: 3, outcome: anOutcome({ state: 'lost' }) },
      ]);
      expect(changed).toMatchObject([{ id, state: 'timed_out', epoch: 2 }]);
    });

    it('takes the newest of several starts in one batch', async () => {
      const { id } = await create();
      const one = { tenantId, id, at: at(10) };
      const other = newId('node');
      expect(await repositories.runs.markStarted([{ ...one, nodeId, epoch: 1 }, { ...one, nodeId: other, epoch: 2 }, { ...one, nodeId, epoch: 1 }])).toEqual([id]);
      expect(await find(id)).toMatchObject({ epoch: 2, nodeId: other });
    });

    it('batches that share runs neither deadlock nor finish one twice', async () => {
      const runs = await Promise.all(Array.from({ length: 40 }, () => create()));
      const ends = runs.map(({ id }) => ({ tenantId, id, epoch: 1, at: at(20), outcome: anOutcome() }));
      const changed = await Promise.all(Array.from({ length: 8 }, (_, batch) => repositories.runs.markFinished(batch % 2 === 0 ? ends : [...ends].reverse())));
      expect(changed.flat().map(({ id }) => id).sort()).toEqual(runs.map(({ id }) => id).sort());
    });

    it('a batch larger than a statement is written whole', async () => {
      const runs = await Promise.all(Array.from({ length: 4 }, () => create()));
      const outcome = anOutcome({ run: aStepResult({ stdout: 'x'.repeat(9 * MiB) }) });
      expect(await repositories.runs.markFinished(runs.map(({ id }) => ({ tenantId, id, epoch: 1, at: at(20), outcome })))).toHaveLength(4);
      expect((await find(runs[3]!.id)).outcome).toEqual(outcome);
    });

    it('an empty batch and unknown runs are nothing', async () => {
      expect(await repositories.runs.markStarted([])).toEqual([]);
      expect(await repositories.runs.markFinished([])).toEqual([]);
      expect(await start(newId('run'), 1)).toEqual([]);
      expect(await finish(newId('run'), 1)).toEqual([]);
    });

    it('a cancel is recorded once', async () => {
      const { id } = await create();
      expect((await repositories.runs.requestCancel(tenantId, id, at(1))).cancelRequestedAt).toEqual(at(1));
      expect((await repositories.runs.requestCancel(tenantId, id, at(2))).cancelRequestedAt).toEqual(at(1));
      await expect(repositories.runs.requestCancel(tenantId, newId('run'), at(1))).rejects.toMatchObject({ code: 'not_found' });
    });

    it('only a queued run is discarded', async () => {
      const [queued, running] = [await create(), await create()];
      await start(running.id, 1);
      for (const { id } of [queued, running]) await repositories.runs.discard(tenantId, id);
      expect(await repositories.runs.find(tenantId, queued.id)).toBeUndefined();
      expect((await find(running.id)).state).toBe('running');
    });
  });

  describe('list', () => {
    const ids = (page: { items: readonly Run[] }): RunId[] => page.items.map((run) => run.id);

    it('goes through all, newest first, page by page, while others come', async () => {
      const made: RunId[] = [];
      for (let index = 0; index < 7; index += 1) {
        const id = newId('run', 1000 + index);
        made.unshift(id);
        await repositories.runs.create(tenantId, { id, spec: aRunSpec(), createdAt: at(index) });
      }
      const seen: RunId[] = [];
      let cursor: string | undefined;
      do {
        const page = await repositories.runs.list(tenantId, { limit: 3, cursor });
        seen.push(...ids(page));
        cursor = page.nextCursor ?? undefined;
        await create();
      } while (cursor !== undefined);
      expect(seen).toEqual(made);
      expect(await repositories.runs.list(tenantId, { limit: 200, cursor: Buffer.from(made.at(-1)!).toString('base64url') })).toEqual({ items: [], nextCursor: null });
    });

    it('has no next page when the last one is full', async () => {
      await create();
      await create();
      expect((await repositories.runs.list(tenantId, { limit: 2 })).nextCursor).toBeNull();
      expect((await repositories.runs.list(tenantId, { limit: 1 })).nextCursor).not.toBeNull();
    });

    it('ends a page early where rows are large, and loses none', async () => {
      for (let index = 0; index < 5; index += 1) await create(aRunSpec({ code: 'x'.repeat(7 * MiB) }));
      const sizes: number[] = [];
      const seen = new Set<string>();
      let cursor: string | undefined;
      do {
        const page = await repositories.runs.list(tenantId, { limit: 200, cursor });
        sizes.push(page.items.length);
        for (const id of ids(page)) seen.add(id);
        cursor = page.nextCursor ?? undefined;
      } while (cursor !== undefined);
      expect({ sizes, seen: seen.size }).toEqual({ sizes: [2, 2, 1], seen: 5 });
    });

    it('filters by state, runtime and label', async () => {
      const bash = await create(aRunSpec({ runtime: 'bash', labels: { team: 'a=b', 'x"y': "'1" } }));
      const python = await create(aRunSpec({ labels: { team: 'c' } }));
      await start(python.id, 1);
      const list = async (filter: object): Promise<RunId[]> => ids(await repositories.runs.list(tenantId, { limit: 50, ...filter }));
      expect(await list({ state: 'queued' })).toEqual([bash.id]);
      expect(await list({ state: 'running', runtime: 'python' })).toEqual([python.id]);
      expect(await list({ runtime: 'bash' })).toEqual([bash.id]);
      expect(await list({ label: 'team=a=b' })).toEqual([bash.id]);
      expect(await list({ label: `x"y='1` })).toEqual([bash.id]);
      expect(await list({ label: 'team=a' })).toEqual([]);
      expect(await list({ label: 'team=c', state: 'queued' })).toEqual([]);
    });

    it.each([{ cursor: 'x' }, { cursor: '' }, { cursor: Buffer.from("run_' or true --").toString('base64url') }, { label: 'team' }, { label: '=x' }, { label: 'a=\0' }, { runtime: '\0' }])('refuses %p', async (filter) => {
      await expect(repositories.runs.list(tenantId, { limit: 50, ...filter })).rejects.toMatchObject({ code: 'invalid_argument' });
    });
  });

  it('counts by state', async () => {
    const { id } = await create();
    await create();
    await start(id, 1);
    const counts = await repositories.runs.countByState(tenantId);
    expect(counts).toMatchObject({ queued: 1, running: 1, succeeded: 0, lost: 0 });
    expect(Object.keys(counts)).toHaveLength(10);
  });

  it('lists the unfinished of all tenants, oldest first, without what is large', async () => {
    const [old, final] = [newId('run', 5), newId('run', 6)];
    for (const id of [final, old]) await repositories.runs.create(tenantId, { id, spec: aRunSpec(), createdAt: at(0) });
    await finish(final, 1);
    const unfinished = await repositories.runs.listUnfinished();
    expect(unfinished[0]).toEqual({ id: old, tenantId, state: 'queued', runtime: 'python', epoch: 0, nodeId: null, createdAt: at(0), startedAt: null, finishedAt: null, cancelRequestedAt: null });
    expect(unfinished.map(({ id }) => id)).not.toContain(final);
  });

  it('retention deletes what ended before, with its log, and no more than asked', async () => {
    const [first, second, third, queued] = [await create(), await create(), await create(), await create()];
    await finish(first.id, 1, -1000);
    await finish(second.id, 1, -900);
    await finish(third.id, 1, 900);
    await repositories.runLogs.save(tenantId, first.id, []);
    expect(await repositories.runs.deleteFinishedBefore(at(0), 1)).toBe(1);
    expect(await repositories.runs.find(tenantId, first.id)).toBeUndefined();
    expect(await repositories.runLogs.load(tenantId, first.id)).toBeUndefined();
    expect(await repositories.runs.deleteFinishedBefore(at(0), 10)).toBe(1);
    expect(await repositories.runs.deleteFinishedBefore(at(0), 10)).toBe(0);
    for (const { id } of [third, queued]) expect(await find(id)).toBeDefined();
  });
});
