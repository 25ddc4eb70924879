import { newId, type RunId } from '#kernel';
import { openFixture, type QueueFixture } from '../queue-fixture.contract.js';

describe('RedisAdmission', () => {
  let fixture: QueueFixture;
  beforeAll(async () => { fixture = await openFixture(); });
  afterAll(async () => { await fixture.close(); });

  const runs = (count: number): RunId[] => Array.from({ length: count }, (_, index) => newId('run', index));
  const limits = { concurrentRuns: 2, queuedRuns: 2 };

  it('dispatches up to the limit, then lines up, then refuses; all idempotent', async () => {
    const { admission } = fixture.control;
    const tenant = newId('tenant');
    const [a, b, c, d, e] = runs(5) as [RunId, RunId, RunId, RunId, RunId];
    for (const [run, verdict] of [[a, 'dispatch'], [b, 'dispatch'], [c, 'wait'], [d, 'wait'], [a, 'dispatch'], [c, 'wait']] as const) expect(await admission.admit(tenant, run, limits)).toBe(verdict);
    await expect(admission.admit(tenant, e, limits)).rejects.toMatchObject({ code: 'quota_exceeded' });
    expect(await admission.counts(tenant)).toEqual({ executing: 2, waiting: 2 });
    expect(await admission.release(tenant, a, limits)).toEqual([c]);
    expect(await admission.release(tenant, a, limits)).toEqual([]);
    // Cancelled while it waited.
    expect(await admission.release(tenant, d, limits)).toEqual([]);
    expect(await admission.counts(tenant)).toEqual({ executing: 2, waiting: 0 });
    await admission.forget(tenant);
    expect(await admission.counts(tenant)).toEqual({ executing: 0, waiting: 0 });
  });

  it('keeps tenants apart and never goes over the limit, however many ask at once', async () => {
    const { admission } = fixture.control;
    const [one, other] = [newId('tenant'), newId('tenant')];
    const verdicts = await Promise.all(runs(50).map((run) => admission.admit(one, run, { concurrentRuns: 7, queuedRuns: 1000 })));
    expect(verdicts.filter((verdict) => verdict === 'dispatch')).toHaveLength(7);
    expect(await admission.admit(other, newId('run'), limits)).toBe('dispatch');
  });

  it('lets a raised limit through at the next release, in order', async () => {
    const { admission } = fixture.control;
    const tenant = newId('tenant');
    const [a, b, c, d] = runs(4) as [RunId, RunId, RunId, RunId];
    for (const run of [a, b, c, d]) await admission.admit(tenant, run, { concurrentRuns: 1, queuedRuns: 9 });
    expect(await admission.release(tenant, a, { concurrentRuns: 2 })).toEqual([b, c]);
  });

  it('is repaired from the rows', async () => {
    const { admission } = fixture.control;
    const tenant = newId('tenant');
    const [a, b, c, d, e, gone] = runs(6) as [RunId, RunId, RunId, RunId, RunId, RunId];
    // Redis lost everything: one executes, three wait.
    expect(await admission.repair(tenant, { executing: [a], waiting: [b, c, d] }, { concurrentRuns: 2 })).toEqual([b]);
    expect(await admission.counts(tenant)).toEqual({ executing: 2, waiting: 2 });
    // What holds a place and still waits for its job is named again.
    expect(await admission.repair(tenant, { executing: [a], waiting: [b, c, d] }, { concurrentRuns: 2 })).toEqual([b]);
    // A run just admitted, whose row is not written, stays; one released since the rows were read does not come back.
    expect(await admission.admit(tenant, e, { concurrentRuns: 2, queuedRuns: 9 })).toBe('wait');
    expect(await admission.release(tenant, a, { concurrentRuns: 2 })).toEqual([c]);
    expect(await admission.repair(tenant, { executing: [a], waiting: [b, c, d] }, { concurrentRuns: 2 })).toEqual([b, c]);
    expect(await admission.counts(tenant)).toEqual({ executing: 2, waiting: 2 });
    expect(await admission.release(tenant, b, { concurrentRuns: 2 })).toEqual([d]);
    expect(await admission.release(tenant, c, { concurrentRuns: 2 })).toEqual([e]);
    expect(await admission.release(tenant, gone, { concurrentRuns: 2 })).toEqual([]);
  });

  it('forgets what no row names once it is old', async () => {
    const { admission } = fixture.control;
    const tenant = newId('tenant');
    const stale = newId('run');
    await admission.repair(tenant, { executing: [stale], waiting: [] }, { concurrentRuns: 1 });
    await new Promise((resolve) => setTimeout(resolve, 5));
    await admission.repair(tenant, { executing: [], waiting: [] }, { concurrentRuns: 1 });
    expect(await admission.counts(tenant)).toEqual({ executing: 0, waiting: 0 });
  });
});
