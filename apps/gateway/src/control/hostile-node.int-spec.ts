import { setTimeout as sleep } from 'node:timers/promises';
import type { LogFrame, RunView } from '#contracts';
import type { RunId, TenantId } from '#kernel';
import { anOutcome } from '#testing';
import { startFixture, type Fixture } from '../testing/gateway-fixture.contract.js';
import { printsFortyTwo, type SimulatedNode } from '../testing/simulated-node.contract.js';

const program = { runtime: 'python', code: 'print(6*7)' };

/** A broken-into node may spoil its own runs, not those of others nor the stream that all of them come by. */
describe('what a broken node can do', () => {
  let gateway: Fixture;
  let node: SimulatedNode;
  let key: string;
  let tenant: string;
  beforeAll(async () => {
    gateway = await startFixture();
    node = await gateway.node();
    ({ key, id: tenant } = await gateway.tenant());
  }, 60_000);
  afterAll(() => gateway.stop(), 20_000);

  async function untilNoEvents(): Promise<void> {
    for (let tries = 0; (await gateway.platform.redis.xlen('sandbar:node-events')) > 0; tries += 1) {
      if (tries > 150) throw new Error('events are left');
      await sleep(20);
    }
  }

  it.each([['that is no frame', ['k', 'rou', 'd', 'x', 't', 'never']], ['that is no end', ['k', 'e', 'd', '{', 't', '1']]])('an entry of a log %s: the log is what the result says', async (_name, fields) => {
    node.behaviour = async (run) => {
      const outcome = await printsFortyTwo(run);
      await gateway.platform.redis.del(`sandbar:log:{${run.job.runId}}`);
      await gateway.platform.redis.xadd(`sandbar:log:{${run.job.runId}}`, '1-0', ...fields);
      return outcome;
    };
    const { body } = await gateway.call<RunView>(key, 'POST', '/v1/runs?wait=true', program);
    expect(body.state).toBe('succeeded');
    await untilNoEvents();
    const saved = await gateway.platform.repositories.runLogs.load(tenant as TenantId, body.id as RunId);
    expect(saved?.map((frame) => (frame.type === 'end' ? frame.state : frame.data))).toEqual(['42\n', 'succeeded']);
    const shown = await gateway.call<string>(key, 'GET', `/v1/runs/${body.id}/logs`);
    expect({ status: shown.status, last: (JSON.parse(shown.body.trim().split('\n').at(-1) ?? '') as LogFrame).type }).toEqual({ status: 200, last: 'end' });
  });

  it.each([['an epoch beyond the column', { epoch: 2 ** 40 }], ['a time that is no date', { time: 9e15 }], ['a negative epoch', { epoch: -1 }]])('%s: the event is dropped, the next one is heard', async (_name, wrong) => {
    node.behaviour = async (run) => {
      await node.publish({ type: 'run.finished', ...node.event(run.job, run.claim), outcome: anOutcome({ state: 'failed' }), ...wrong });
      return printsFortyTwo(run);
    };
    const { body } = await gateway.call<RunView>(key, 'POST', '/v1/runs?wait=true&waitTimeoutMs=5000', program);
    expect(body.state).toBe('succeeded');
    await untilNoEvents();
  });
});
