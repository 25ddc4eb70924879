import type { RunView } from '#contracts';
import { anOutcome } from '#testing';
import { startFixture, type Fixture } from '../testing/gateway-fixture.contract.js';
import { printsFortyTwo, runsUntilCancelled, type SimulatedNode } from '../testing/simulated-node.contract.js';

const program = { runtime: 'python', code: 'print(6*7)' };

describe('GET /metrics', () => {
  let gateway: Fixture;
  let node: SimulatedNode;
  let key: string;
  beforeAll(async () => {
    gateway = await startFixture();
    node = await gateway.node();
    ({ key } = await gateway.tenant({ concurrentRuns: 1 }));
  }, 60_000);
  afterAll(() => gateway.stop(), 20_000);

  /** The sample whose labels include these; 0 when there is none. */
  async function sample(name: string, labels: Record<string, string> = {}): Promise<number> {
    const { body } = await gateway.call<string>(undefined, 'GET', '/metrics');
    const line = body.split('\n').find((text) => (text.startsWith(`${name}{`) || text.startsWith(`${name} `)) && Object.entries(labels).every(([label, value]) => text.includes(`${label}="${value}"`)));
    return Number(line?.split(' ').at(-1) ?? 0);
  }

  it('counts a run once by its final state, and the times of its phases', async () => {
    node.behaviour = async (run) => {
      await printsFortyTwo(run);
      const outcome = anOutcome();
      // An end that is reported twice.
      await node.publish({ type: 'run.finished', ...node.event(run.job, run.claim), outcome });
      return outcome;
    };
    const { body } = await gateway.call<RunView>(key, 'POST', '/v1/runs?wait=true', program);
    expect(body.state).toBe('succeeded');
    node.behaviour = runsUntilCancelled;
    const first = await gateway.call<RunView>(key, 'POST', '/v1/runs', program);
    await gateway.untilState(key, first.body.id, 'running');
    // Never starts: its end is the gateway's own doing.
    const second = await gateway.call<RunView>(key, 'POST', '/v1/runs', program);
    for (const id of [second.body.id, first.body.id]) await gateway.call(key, 'POST', `/v1/runs/${id}/cancel`);
    await gateway.untilState(key, first.body.id, 'cancelled');
    expect({
      running: await sample('sandbar_runs_total', { state: 'running' }),
      succeeded: await sample('sandbar_runs_total', { state: 'succeeded' }),
      cancelled: await sample('sandbar_runs_total', { state: 'cancelled' }),
      queue: await sample('sandbar_run_phase_seconds_count', { phase: 'queue' }),
      sandbox: await sample('sandbar_run_phase_seconds_count', { phase: 'sandbox' }),
      execute: await sample('sandbar_run_phase_seconds_count', { phase: 'execute' }),
    }).toEqual({ running: 2, succeeded: 1, cancelled: 2, queue: 2, sandbox: 2, execute: 1 });
    expect(await sample('sandbar_run_phase_seconds_sum', { phase: 'execute' })).toBeCloseTo((body.wallTimeMs ?? 0) / 1000, 3);
  });

  it('shows the queue as it is, and requests by route and status', async () => {
    node.behaviour = runsUntilCancelled;
    const { body } = await gateway.call<RunView>(key, 'POST', '/v1/runs', program);
    await gateway.untilState(key, body.id, 'running');
    expect(await sample('sandbar_runs_queue_jobs', { state: 'active' })).toBe(1);
    await gateway.call(key, 'POST', `/v1/runs/${body.id}/cancel`);
    await gateway.untilState(key, body.id, 'cancelled');
    const before = await sample('sandbar_http_request_seconds_count', { route: '/v1/runs/:id', status: '404' });
    await gateway.call(key, 'GET', '/v1/runs/nothing');
    expect(await sample('sandbar_http_request_seconds_count', { route: '/v1/runs/:id', status: '404' })).toBe(before + 1);
    await gateway.call(undefined, 'POST', '/v1/runs', {});
    expect(await sample('sandbar_http_request_seconds_count', { method: 'POST', route: '/v1/runs', status: '401' })).toBe(1);
  });

  it('is for this machine: not for callers that a proxy brings', async () => {
    for (const header of ['x-forwarded-for', 'forwarded', 'x-real-ip']) {
      expect((await gateway.call(undefined, 'GET', '/metrics', undefined, { [header]: '203.0.113.9' })).status).toBe(403);
    }
  });
});
