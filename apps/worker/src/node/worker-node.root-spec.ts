import { request } from 'node:http';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { silentLogger } from '#kernel';
import { BusyboxNode, type Life } from '../runs/busybox-node.contract.js';
import { ActiveJobs } from '../jobs/active-jobs.js';
import { RpcServer } from './rpc-server.js';
import { runRoutes } from './run-routes.js';
import { WorkerNode } from './worker-node.js';

const TOKEN = 't'.repeat(40);

describe('WorkerNode', () => {
  let node: BusyboxNode;
  let life: Life;
  let worker: WorkerNode;
  let socketPath: string;

  beforeAll(async () => {
    node = await BusyboxNode.open('wnode');
    life = await node.live();
    socketPath = join(node.dataDir, 'rpc.sock');
    worker = new WorkerNode({
      services: life.services,
      engine: life.engine.runtime,
      adopter: life.adopter,
      processor: life.processor,
      consumer: life.queues.consumer,
      // Virtual hosts have suites of their own.
      host: { prepare: () => Promise.resolve(), recover: () => Promise.resolve(), stopContainers: () => Promise.resolve() },
      builds: { active: new ActiveJobs('build'), spool: { sweep: () => Promise.resolve() }, processor: { process: () => Promise.resolve(), room: () => true }, consumer: life.queues.builds(node.nodeId) },
      operations: { processor: { process: () => Promise.resolve() }, consumer: life.queues.operations(node.nodeId) },
      registry: life.queues.nodes,
      rpc: new RpcServer({ listen: { kind: 'unix', path: socketPath }, groupId: undefined, token: TOKEN, routes: runRoutes(life.services.active), logger: silentLogger }),
      runtimes: { installed: { views: () => [], available: () => [] }, installs: { stop: () => Promise.resolve() }, convergence: { start: () => Promise.resolve(), stop: () => undefined }, tidy: () => Promise.resolve() },
      giveUp: () => undefined,
      close: () => Promise.resolve(),
      shutdownGraceMs: 300,
    });
    await worker.start();
  }, 60_000);
  afterAll(async () => {
    await node.close();
  }, 60_000);

  async function running(runId: string): Promise<void> {
    while ((await node.frames(runId as never)).length === 0) await sleep(10);
  }

  it('takes jobs, says what it holds, cancels by RPC, and ends what still runs when it stops', async () => {
    const [short, cancelled, long] = [node.job({ code: 'echo short' }), node.job({ code: 'echo up; sleep 100' }), node.job({ code: 'echo up; sleep 100' })];
    for (const job of [short, cancelled, long]) await node.control.runs.enqueue(job);
    await Promise.all([running(cancelled.runId), running(long.runId)]);
    await sleep(2200);
    expect(await node.control.nodes.get(node.nodeId)).toMatchObject({ ready: true, rpcUrl: `unix:${socketPath}`, runIds: expect.arrayContaining([cancelled.runId, long.runId]) });
    await new Promise<void>((done, fail) => {
      request({ socketPath, method: 'POST', path: `/runs/${cancelled.runId}/cancel`, headers: { authorization: `Bearer ${TOKEN}` }, agent: false }, (response) => {
        response.resume().on('end', () => {
          done();
        });
      })
        .on('error', fail)
        .end();
    });
    while (life.services.active.get(cancelled.runId) !== undefined) await sleep(10);

    await worker.stop();
    expect(await life.engine.runtime.list()).toEqual([]);
    expect(await node.control.nodes.get(node.nodeId)).toBeUndefined();
    const outcomes = new Map((await node.events()).flatMap((event) => (event.type === 'run.finished' ? [[event.runId, event.outcome] as const] : [])));
    expect(outcomes.get(short.runId)).toMatchObject({ state: 'succeeded', run: { stdout: 'short\n' } });
    expect(outcomes.get(cancelled.runId)).toMatchObject({ state: 'cancelled' });
    expect(outcomes.get(long.runId)).toMatchObject({ state: 'lost', error: { code: 'unavailable', message: 'the node was shut down' }, run: { stdout: 'up\n' } });
    expect((await node.frames(long.runId)).at(-1)).toMatchObject({ type: 'end', state: 'lost' });
  }, 30_000);
});
