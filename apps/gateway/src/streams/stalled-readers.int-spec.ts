import { createConnection, type Server, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import type { OutputFrame, RunView } from '#contracts';
import type { RunId } from '#kernel';
import { anOutcome, aStepResult } from '#testing';
import { startFixture, type Fixture } from '../testing/gateway-fixture.contract.js';
import { runsUntilCancelled, type SimulatedNode } from '../testing/simulated-node.contract.js';

const MiB = 1024 * 1024;

describe('clients that never read', () => {
  let gateway: Fixture;
  let node: SimulatedNode;
  let key: string;
  let id: string;
  beforeAll(async () => {
    gateway = await startFixture({ settings: { stallMs: 500 } });
    node = await gateway.node(async ({ job, claim, node }) => {
      const runId = job.runId as RunId;
      await node.queues.claims.start(runId, claim.epoch);
      await node.publish({ type: 'run.started', ...node.event(job, claim) });
      const frames = Array.from({ length: 200 }, (_, index): OutputFrame => ({ seq: index + 1, type: 'output', step: 'run', stream: 'stdout', data: 'x'.repeat(64 * 1024), encoding: 'utf8', time: 1 }));
      await node.queues.logs.append(runId, [...frames, { seq: 201, type: 'end', state: 'succeeded', exitCode: 0, signal: null, time: 1 }]);
      return anOutcome({ run: aStepResult({ stdout: 'x'.repeat(12 * MiB) }) });
    });
    ({ key } = await gateway.tenant());
    id = (await gateway.call<RunView>(key, 'POST', '/v1/runs?wait=true', { runtime: 'python', code: '1' })).body.id;
  }, 60_000);
  afterAll(() => gateway.stop());

  function connections(): Promise<number> {
    const server = gateway.app.getHttpServer() as Server;
    return new Promise((resolve) => {
      server.getConnections((_error, count) => { resolve(count); });
    });
  }

  it.each(['', '/logs'])('GET /v1/runs/:id%s: the connection is cut', async (path) => {
    const before = await connections();
    const socket: Socket = createConnection(Number(new URL(gateway.url).port), '127.0.0.1');
    socket.on('error', () => undefined);
    socket.pause();
    socket.write(`GET /v1/runs/${id}${path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${key}\r\n\r\n`);
    await sleep(300);
    expect(await connections()).toBe(before + 1);
    for (let tries = 0; (await connections()) > before; tries += 1) {
      if (tries > 60) throw new Error('the connection is still there');
      await sleep(50);
    }
    socket.destroy();
  });

  it('leaves alone who waits for a slow program, and who reads', async () => {
    const { status, body } = await gateway.call<RunView>(key, 'GET', `/v1/runs/${id}`);
    expect({ status, length: body.stdout?.length }).toEqual({ status: 200, length: 12 * MiB });
    node.behaviour = runsUntilCancelled;
    const began = performance.now();
    const waited = await gateway.call<RunView>(key, 'POST', '/v1/runs?wait=true&waitTimeoutMs=1200', { runtime: 'python', code: '1' });
    expect({ status: waited.status, state: waited.body.state, long: performance.now() - began > 1_000 }).toEqual({ status: 202, state: 'running', long: true });
    // Longer without a word than a reader may take.
    const reading = gateway.call<string>(key, 'GET', `/v1/runs/${waited.body.id}/logs`);
    await sleep(1_000);
    await gateway.call(key, 'POST', `/v1/runs/${waited.body.id}/cancel`);
    expect((await reading).body).toContain('"state":"cancelled"');
  });
});
