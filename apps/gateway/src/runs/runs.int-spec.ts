import type { ErrorBody, Page, RunView } from '#contracts';
import { CodedError, newId, type RunId, type TenantId } from '#kernel';
import { startFixture, type Fixture } from '../testing/gateway-fixture.contract.js';
import { runsUntilCancelled, type SimulatedNode } from '../testing/simulated-node.contract.js';

describe('runs over HTTP', () => {
  let gateway: Fixture;
  let node: SimulatedNode;
  let key: string;
  const program = { runtime: 'python', code: 'print(6*7)' };

  beforeAll(async () => {
    gateway = await startFixture();
    node = await gateway.node();
    ({ key } = await gateway.tenant());
  }, 60_000);
  afterAll(() => gateway.stop());

  it('answers the smallest call with the result', async () => {
    const began = performance.now();
    const { status, body, headers } = await gateway.call<RunView>(key, 'POST', '/v1/runs?wait=true', program);
    expect({ status, state: body.state, stdout: body.stdout, exitCode: body.exitCode }).toEqual({ status: 200, state: 'succeeded', stdout: '42\n', exitCode: 0 });
    expect(headers.get('location')).toBe(`/v1/runs/${body.id}`);
    expect(headers.get('x-request-id')).toMatch(/^req_/);
    // Far below the two seconds after which a waiter looks without a ring.
    expect(performance.now() - began).toBeLessThan(1500);
  });

  it('answers 202 and a location at once, and the result later', async () => {
    const { status, body, headers } = await gateway.call<RunView>(key, 'POST', '/v1/runs', { ...program, runtime: 'py', labels: { a: 'b' } });
    expect({ status, state: body.state, runtime: body.runtime }).toEqual({ status: 202, state: 'queued', runtime: 'python' });
    expect(headers.get('location')).toBe(`/v1/runs/${body.id}`);
    const done = await gateway.untilState(key, body.id, 'succeeded');
    expect(done.labels).toEqual({ a: 'b' });
    expect(done.startedAt).not.toBeNull();
  });

  it('gives the same run for the same idempotency key, and 409 for another spec', async () => {
    const headers = { 'idempotency-key': 'once' };
    const first = await gateway.call<RunView>(key, 'POST', '/v1/runs?wait=true', program, headers);
    const second = await gateway.call<RunView>(key, 'POST', '/v1/runs?wait=true', program, headers);
    expect(second.status).toBe(200);
    expect(second.body.id).toBe(first.body.id);
    const other = await gateway.call<ErrorBody>(key, 'POST', '/v1/runs', { ...program, code: 'x' }, headers);
    expect({ status: other.status, code: other.body.error.code }).toEqual({ status: 409, code: 'conflict' });
    expect((await gateway.call(key, 'POST', '/v1/runs', program, { 'idempotency-key': 'a b' })).status).toBe(400);
  });

  it('answers 202 with the run as it is when the wait is over', async () => {
    node.behaviour = runsUntilCancelled;
    const { status, body } = await gateway.call<RunView>(key, 'POST', '/v1/runs?wait=true&waitTimeoutMs=300', program);
    expect(status).toBe(202);
    expect(['queued', 'running']).toContain(body.state);
    await gateway.untilState(key, body.id, 'running');
    const cancel = await gateway.call<RunView>(key, 'POST', `/v1/runs/${body.id}/cancel`);
    expect(cancel.status).toBeLessThanOrEqual(202);
    await gateway.untilState(key, body.id, 'cancelled');
    const again = await gateway.call<RunView>(key, 'POST', `/v1/runs/${body.id}/cancel`);
    expect({ status: again.status, state: again.body.state }).toEqual({ status: 200, state: 'cancelled' });
  });

  it('holds a tenant to its concurrent runs, queues the next, refuses what is beyond, and cancels what waits', async () => {
    node.behaviour = runsUntilCancelled;
    const small = await gateway.tenant({ concurrentRuns: 1, queuedRuns: 1 });
    const first = await gateway.call<RunView>(small.key, 'POST', '/v1/runs', program);
    await gateway.untilState(small.key, first.body.id, 'running');
    const second = await gateway.call<RunView>(small.key, 'POST', '/v1/runs', program);
    const third = await gateway.call<ErrorBody>(small.key, 'POST', '/v1/runs', program);
    expect({ status: third.status, code: third.body.error.code }).toEqual({ status: 429, code: 'quota_exceeded' });
    // Nothing of the refused one stays.
    expect((await gateway.call<Page<RunView>>(small.key, 'GET', '/v1/runs')).body.items.map(({ id }) => id)).toEqual([second.body.id, first.body.id]);
    // Another tenant is not held up by it.
    const other = await gateway.tenant();
    const free = await gateway.call<RunView>(other.key, 'POST', '/v1/runs', program);
    await gateway.untilState(other.key, free.body.id, 'running');

    const cancelled = await gateway.call<RunView>(small.key, 'POST', `/v1/runs/${second.body.id}/cancel`);
    expect({ status: cancelled.status, state: cancelled.body.state }).toEqual({ status: 200, state: 'cancelled' });
    const next = await gateway.call<RunView>(small.key, 'POST', '/v1/runs', program);
    expect(next.status).toBe(202);
    await gateway.call(small.key, 'POST', `/v1/runs/${first.body.id}/cancel`);
    await gateway.untilState(small.key, next.body.id, 'running');
    await gateway.call(small.key, 'POST', `/v1/runs/${next.body.id}/cancel`);
    await gateway.call(other.key, 'POST', `/v1/runs/${free.body.id}/cancel`);
  });

  it('passes stdin to the node, only while the run executes with stdinOpen', async () => {
    node.behaviour = runsUntilCancelled;
    const open = await gateway.call<RunView>(key, 'POST', '/v1/runs', { ...program, stdinOpen: true });
    await gateway.untilState(key, open.body.id, 'running');
    expect((await gateway.call(key, 'POST', `/v1/runs/${open.body.id}/stdin`, { data: 'hello', eof: true })).status).toBe(204);
    expect(node.calls.at(-1)).toEqual({ path: `/runs/${open.body.id}/stdin`, body: { data: 'hello', encoding: 'utf8', eof: true } });
    await gateway.call(key, 'POST', `/v1/runs/${open.body.id}/cancel`);
    await gateway.untilState(key, open.body.id, 'cancelled');
    const over = await gateway.call<ErrorBody>(key, 'POST', `/v1/runs/${open.body.id}/stdin`, { data: 'x' });
    expect({ status: over.status, code: over.body.error.code }).toEqual({ status: 409, code: 'failed_precondition' });
  });

  it('lists runtimes, pages and filters', async () => {
    expect((await gateway.call<{ items: { name: string }[] }>(key, 'GET', '/v1/runtimes')).body.items.map(({ name }) => name)).toEqual(['c', 'python']);
    const page = await gateway.call<Page<RunView>>(key, 'GET', '/v1/runs?limit=1&label=a%3Db');
    expect(page.body.items).toHaveLength(1);
    expect((await gateway.call(key, 'GET', '/v1/runs?limit=0')).status).toBe(400);
    expect((await gateway.call(key, 'GET', '/v1/runs?cursor=%00')).status).toBe(400);
  });

  it('gives back the place of a run that could not be queued, and never executes it', async () => {
    const { platform } = gateway;
    const { key: own, id } = await gateway.tenant({ concurrentRuns: 1 });
    const enqueue = platform.queue.enqueue.bind(platform.queue);
    const enqueued: string[] = [];
    // The job is there and the answer is lost: what is refused must not run.
    platform.queue.enqueue = (job) => {
      platform.queue.enqueue = enqueue;
      enqueued.push(job.runId);
      return Promise.reject(new CodedError('unavailable', 'planted'));
    };
    expect((await gateway.call(own, 'POST', '/v1/runs', program)).status).toBe(503);
    for (let tries = 0; (await platform.admission.counts(id as TenantId)).executing > 0; tries += 1) {
      if (tries > 50) throw new Error('the place is still taken');
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    expect(enqueued).toHaveLength(1);
    expect(await platform.claims.take(enqueued[0] as RunId, { nodeId: newId('node'), incarnation: '1' })).toBeUndefined();
  });

  it('answers 503 without a node', async () => {
    await node.stop();
    gateway.clock.offset += 1_001;
    const { status, body } = await gateway.call<ErrorBody>(key, 'POST', '/v1/runs', program);
    expect({ status, code: body.error.code }).toEqual({ status: 503, code: 'unavailable' });
    expect((await gateway.call(undefined, 'GET', '/health/ready')).status).toBe(503);
  });

  it('knows no run of an id that is none', async () => {
    for (const id of [newId('run'), newId('tenant'), 'x', '..%2f..', '%00']) expect((await gateway.call(key, 'GET', `/v1/runs/${id}`)).status).toBe(404);
  });
});
