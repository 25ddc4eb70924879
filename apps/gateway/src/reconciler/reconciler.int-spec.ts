import { setTimeout as sleep } from 'node:timers/promises';
import type { ErrorBody, LogFrame, RunView } from '#contracts';
import { newId, type RunId, type TenantId } from '#kernel';
import { aRunSpec } from '#testing';
import { startFixture, type Fixture } from '../testing/gateway-fixture.contract.js';
import { printsFortyTwo, runsUntilCancelled, startsAndVanishes, SimulatedNode, type Behaviour } from '../testing/simulated-node.contract.js';
import { RunReconciler } from './run-reconciler.service.js';

const program = { runtime: 'python', code: 'print(6*7)' };

describe('the reconciler', () => {
  let gateway: Fixture;
  let reconciler: RunReconciler;
  beforeAll(async () => {
    gateway = await startFixture();
    reconciler = gateway.app.get(RunReconciler, { strict: false });
  }, 60_000);
  afterAll(() => gateway.stop(), 20_000);

  /** Nodes whose heartbeat is fresh in every round, however fast the clock is moved. */
  const beating = new Set<SimulatedNode>();
  async function live(behaviour?: Behaviour): Promise<SimulatedNode> {
    const node = await gateway.node(behaviour);
    beating.add(node);
    return node;
  }
  async function leave(node: SimulatedNode): Promise<void> {
    beating.delete(node);
    await node.stop();
  }

  async function rounds(count: number, stepMs = 2_000): Promise<void> {
    for (let round = 0; round < count; round += 1) {
      for (const node of beating) await node.beat();
      await reconciler.round();
      gateway.clock.offset += stepMs;
    }
  }

  it('executes a row whose gateway died after inserting it', async () => {
    const node = await live();
    const { id, key } = await gateway.tenant();
    const runId = newId('run');
    await gateway.platform.repositories.runs.create(id as TenantId, { id: runId, spec: aRunSpec(), createdAt: new Date(gateway.clock.now()) });
    await reconciler.round();
    expect((await gateway.call<RunView>(key, 'GET', `/v1/runs/${runId}`)).body.state).toBe('queued');
    gateway.clock.offset += 2_100;
    await rounds(2);
    expect((await gateway.untilState(key, runId, 'succeeded')).stdout).toBe('42\n');
    await leave(node);
  });

  it('brings back a job that Redis lost, and keeps to the concurrent runs', async () => {
    const node = await live(runsUntilCancelled);
    const { key } = await gateway.tenant({ concurrentRuns: 1 });
    const first = await gateway.call<RunView>(key, 'POST', '/v1/runs', program);
    await gateway.untilState(key, first.body.id, 'running');
    const second = await gateway.call<RunView>(key, 'POST', '/v1/runs', program);
    const kept = await gateway.platform.redis.keys('sandbar:admission:*');
    await gateway.platform.redis.del(...kept);
    gateway.clock.offset += 2_100;
    await rounds(3);
    await sleep(100);
    expect((await gateway.call<RunView>(key, 'GET', `/v1/runs/${second.body.id}`)).body.state).toBe('queued');
    await gateway.call(key, 'POST', `/v1/runs/${first.body.id}/cancel`);
    await gateway.untilState(key, second.body.id, 'running');
    await gateway.call(key, 'POST', `/v1/runs/${second.body.id}/cancel`);
    await gateway.untilState(key, second.body.id, 'cancelled');
    await leave(node);
  });

  it('finds a run lost whose node is gone, not at once, and ends its log', async () => {
    const node = await live(startsAndVanishes);
    const { key, id } = await gateway.tenant();
    const { body } = await gateway.call<RunView>(key, 'POST', '/v1/runs', program);
    await gateway.untilState(key, body.id, 'running');
    await rounds(3);
    expect((await gateway.call<RunView>(key, 'GET', `/v1/runs/${body.id}`)).body.state).toBe('running');
    beating.delete(node);
    await node.vanish();
    await rounds(4);
    expect((await gateway.call<RunView>(key, 'GET', `/v1/runs/${body.id}`)).body.state).toBe('running');
    await rounds(1);
    const lost = (await gateway.call<RunView>(key, 'GET', `/v1/runs/${body.id}`)).body;
    expect(lost).toMatchObject({ state: 'lost', error: { code: 'unavailable' } });
    const log = await gateway.call<string>(key, 'GET', `/v1/runs/${body.id}/logs`);
    expect((JSON.parse(log.body.trim()) as LogFrame)).toMatchObject({ type: 'end', state: 'lost' });
    expect(await gateway.platform.admission.counts(id as TenantId)).toEqual({ executing: 0, waiting: 0 });
  });

  it('never finds a run lost that a restarted worker took up again', async () => {
    const node = await live(startsAndVanishes);
    const { key } = await gateway.tenant();
    const { body } = await gateway.call<RunView>(key, 'POST', '/v1/runs', program);
    await gateway.untilState(key, body.id, 'running');
    beating.delete(node);
    await node.vanish();
    await rounds(3);
    const again = await SimulatedNode.start(gateway.redis.options, { nodeId: node.nodeId, startedAt: gateway.clock.now(), ready: false });
    beating.add(again);
    await rounds(5);
    expect(await again.queues.claims.adopt(body.id as RunId, 1, again)).toBe(true);
    again.runIds.add(body.id);
    again.ready = true;
    await again.beat();
    await rounds(6);
    expect((await gateway.call<RunView>(key, 'GET', `/v1/runs/${body.id}`)).body.state).toBe('running');
    again.runIds.delete(body.id);
    await again.beat();
    await rounds(3);
    expect((await gateway.call<RunView>(key, 'GET', `/v1/runs/${body.id}`)).body.state).toBe('lost');
    await leave(again);
  });

  it('does not find a run lost that is adopted between its judgement and its end', async () => {
    const node = await live(startsAndVanishes);
    const { key } = await gateway.tenant();
    const { body } = await gateway.call<RunView>(key, 'POST', '/v1/runs', program);
    await gateway.untilState(key, body.id, 'running');
    beating.delete(node);
    await node.vanish();
    await rounds(4);
    const again = await SimulatedNode.start(gateway.redis.options, { nodeId: node.nodeId, startedAt: gateway.clock.now(), ready: false });
    await again.queues.nodes.leave(again.nodeId);
    // The last look before the sentence: the worker is quicker than what follows it.
    const { logs } = gateway.platform;
    const last = logs.last.bind(logs);
    let adopted = false;
    logs.last = async (runId) => {
      logs.last = last;
      adopted = await again.queues.claims.adopt(runId, 1, again);
      again.runIds.add(runId);
      return last(runId);
    };
    await rounds(1);
    expect(adopted).toBe(true);
    await again.beat();
    beating.add(again);
    await rounds(2);
    expect((await gateway.call<RunView>(key, 'GET', `/v1/runs/${body.id}`)).body.state).toBe('running');
    again.runIds.delete(body.id);
    await rounds(20);
    expect((await gateway.call<RunView>(key, 'GET', `/v1/runs/${body.id}`)).body.state).toBe('lost');
    await leave(again);
  });

  it('goes on when one run of the journal cannot be settled', async () => {
    const { redis, repositories } = gateway.platform;
    const node = await live(startsAndVanishes);
    const { key, id } = await gateway.tenant();
    const { body } = await gateway.call<RunView>(key, 'POST', '/v1/runs', program);
    await gateway.untilState(key, body.id, 'running');
    const poison = newId('run');
    await redis.zadd('sandbar:settling', 1, `${id} ${poison}`);
    const find = repositories.runs.find.bind(repositories.runs);
    repositories.runs.find = (tenantId, runId) => (runId === poison ? Promise.reject(new Error('planted')) : find(tenantId, runId));
    beating.delete(node);
    await node.vanish();
    await rounds(6);
    repositories.runs.find = find;
    expect((await gateway.call<RunView>(key, 'GET', `/v1/runs/${body.id}`)).body.state).toBe('lost');
    await rounds(1);
    expect(await redis.zscore('sandbar:settling', `${id} ${poison}`)).toBeNull();
  });

  it('repeats a cancel that its node did not hear', async () => {
    const node = await live(runsUntilCancelled);
    const { key } = await gateway.tenant();
    const { body } = await gateway.call<RunView>(key, 'POST', '/v1/runs', program);
    await gateway.untilState(key, body.id, 'running');
    node.runIds.delete(body.id);
    expect((await gateway.call(key, 'POST', `/v1/runs/${body.id}/cancel`)).status).toBe(202);
    node.runIds.add(body.id);
    await node.beat();
    await rounds(1);
    await gateway.untilState(key, body.id, 'cancelled');
    await leave(node);
  });

  it('does not make a run twice when Redis is away: 503, nothing stays, and it works again', async () => {
    const node = await live(printsFortyTwo);
    const { key } = await gateway.tenant();
    await gateway.call(key, 'GET', '/v1/runtimes');
    await gateway.redis.kill();
    const refused = await gateway.call<ErrorBody>(key, 'POST', '/v1/runs', program);
    expect({ status: refused.status, code: refused.body.error.code }).toEqual({ status: 503, code: 'unavailable' });
    expect((await gateway.call<{ items: unknown[] }>(key, 'GET', '/v1/runs')).body.items).toEqual([]);
    await gateway.redis.restart();
    await sleep(1_500);
    gateway.clock.offset += 1_001;
    await node.beat();
    expect((await gateway.call<RunView>(key, 'POST', '/v1/runs?wait=true', program)).body.state).toBe('succeeded');
    await leave(node);
  }, 30_000);
});
