import { setTimeout as sleep } from 'node:timers/promises';
import type { RunView } from '#contracts';
import type { RunId, TenantId } from '#kernel';
import type { Platform } from '../platform/platform.js';
import { RunReconciler } from '../reconciler/run-reconciler.service.js';
import { startFixture, type Fixture } from '../testing/gateway-fixture.contract.js';
import { runsUntilCancelled, type SimulatedNode } from '../testing/simulated-node.contract.js';

type Method = (...args: never[]) => Promise<unknown>;
const program = { runtime: 'python', code: 'print(6*7)' };

/** The next call of a platform method fails: before it does its work, or after, when the process dies while the answer is on its way. */
function failOnce(owner: object, name: string, when: 'before' | 'after'): { failed: () => boolean } {
  const target = owner as Record<string, Method>;
  const method = target[name]!;
  let failed = false;
  target[name] = async (...args: never[]) => {
    target[name] = method;
    if (when === 'after') await method.apply(owner, args);
    failed = true;
    throw new Error(`planted failure ${when} ${name}`);
  };
  return { failed: () => failed };
}

/** Every step of the end of a run, and which object of the platform takes it. */
const STEPS: readonly [string, (platform: Platform) => object][] = [
  ['markFinished', (platform) => platform.repositories.runs],
  ['ring', (platform) => platform.bell],
  ['release', (platform) => platform.admission],
  ['finish', (platform) => platform.claims],
  ['readAll', (platform) => platform.logs],
  ['save', (platform) => platform.repositories.runLogs],
  ['expire', (platform) => platform.logs],
];
const CASES = STEPS.flatMap(([name, owner]) => (['before', 'after'] as const).map((when) => [when, name, owner] as const));

describe('the end of a run, interrupted', () => {
  let gateway: Fixture;
  let node: SimulatedNode;
  beforeAll(async () => {
    gateway = await startFixture();
    node = await gateway.node();
  }, 60_000);
  afterAll(() => gateway.stop(), 20_000);

  async function settled(tenantId: string, runId: string): Promise<void> {
    const { admission, repositories, claims, redis } = gateway.platform;
    for (let tries = 0; tries < 400; tries += 1) {
      const [counts, log, ttl] = await Promise.all([
        admission.counts(tenantId as TenantId),
        repositories.runLogs.load(tenantId as TenantId, runId as RunId),
        redis.ttl(`sandbar:log:{${runId}}`),
      ]);
      if (counts.executing === 0 && log?.at(-1)?.type === 'end' && ttl > 0 && ttl <= 30) {
        expect(log.filter((frame) => frame.type === 'end')).toHaveLength(1);
        // Nobody may take it up any more.
        expect(await claims.take(runId as RunId, { nodeId: node.nodeId, incarnation: 'other' })).toBeUndefined();
        return;
      }
      await sleep(25);
    }
    throw new Error('the end of the run was not completed');
  }

  it.each(CASES)('fails %s %s when a node reports the end: the event comes again and completes it', async (when, name, owner) => {
    const { id, key } = await gateway.tenant();
    const planted = failOnce(owner(gateway.platform), name, when);
    const { body } = await gateway.call<RunView>(key, 'POST', '/v1/runs?wait=true&waitTimeoutMs=15000', program);
    expect(body).toMatchObject({ state: 'succeeded', stdout: '42\n' });
    await settled(id, body.id);
    expect(planted.failed()).toBe(true);
  }, 30_000);

  it.each([...CASES, ['after', 'remove', (platform: Platform) => platform.queue], ['after', 'cancelUnlessStarted', (platform: Platform) => platform.claims]] as const)(
    'fails %s %s when a waiting run is cancelled: the reconciler completes it',
    async (when, name, owner) => {
      node.behaviour = runsUntilCancelled;
      const { id, key } = await gateway.tenant({ concurrentRuns: 1 });
      const first = await gateway.call<RunView>(key, 'POST', '/v1/runs', program);
      await gateway.untilState(key, first.body.id, 'running');
      const second = await gateway.call<RunView>(key, 'POST', '/v1/runs', program);
      const planted = failOnce(owner(gateway.platform), name, when);
      const { status } = await gateway.call(key, 'POST', `/v1/runs/${second.body.id}/cancel`);
      expect({ status, failed: planted.failed() }).toEqual({ status: 500, failed: true });
      gateway.clock.offset += 6_000;
      await gateway.app.get(RunReconciler, { strict: false }).round();
      expect((await gateway.call<RunView>(key, 'GET', `/v1/runs/${second.body.id}`)).body.state).toBe('cancelled');
      await gateway.call(key, 'POST', `/v1/runs/${first.body.id}/cancel`);
      await gateway.untilState(key, first.body.id, 'cancelled');
      await settled(id, second.body.id);
    },
    30_000,
  );
});
