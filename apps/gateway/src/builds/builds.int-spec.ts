import { setTimeout as sleep } from 'node:timers/promises';
import type { BuildCheckpoint, BuildFrame, BuildJob, BuildOutcome, BuildView, ErrorBody } from '#contracts';
import { newId, type BuildId, type NodeId } from '#kernel';
import { BuildReconciler } from '../reconciler/build-reconciler.service.js';
import { startFixture, type Fixture } from '../testing/gateway-fixture.contract.js';
import type { SimulatedNode } from '../testing/simulated-node.contract.js';
import { MemoryHosts, MemoryOperations } from '../testing/virtual-hosts.contract.js';

const REQUEST = { dockerfileInline: 'FROM busybox\n', buildArgs: { TOKEN: 'an-argument' }, secrets: { key: 'a-secret' }, tags: ['app'] };
const STEP = { step: 1, stage: 0, stageName: null, text: 'FROM busybox', state: 'succeeded', cached: false, durationMs: 3, attempt: 1 } as const;
const SUCCEEDED: BuildOutcome = { state: 'succeeded', imageId: `sha256:${'a'.repeat(64)}`, digest: null, error: null, steps: [STEP], warnings: ['mind it'] };
const END: BuildFrame = { type: 'end', seq: 1, time: 1, state: 'succeeded', imageId: SUCCEEDED.imageId, error: null };
const CHECKPOINT: BuildCheckpoint = { attempt: 1, unended: 1, startedAt: 1, outputBytes: 0, clipped: false, steps: [STEP], warnings: [] };

/** Rows, jobs, events and logs of builds, with a node that builds nothing. */
describe('builds', () => {
  let gateway: Fixture;
  let node: SimulatedNode;
  let hosts: MemoryHosts;
  let owner: { id: string; key: string; keyId: string };
  /** What the node does with a job; nothing: it is in hand for ever. */
  let work: (job: BuildJob) => Promise<void>;

  beforeAll(async () => {
    hosts = new MemoryHosts();
    gateway = await startFixture({ docker: { hosts, operations: new MemoryOperations(hosts) } });
    node = await gateway.node();
    owner = await gateway.tenant({ concurrentBuilds: 2, queuedBuilds: 2 });
    node.queues.builds(node.nodeId).start((job) => work(job));
  }, 60_000);
  afterAll(() => gateway.stop(), 30_000);

  const event = ({ buildId, tenantId }: Pick<BuildJob, 'buildId' | 'tenantId'>, nodeId: NodeId = node.nodeId) => ({ buildId, tenantId, nodeId, time: Date.now() });
  const done = async (job: BuildJob): Promise<void> => {
    await node.publish({ type: 'build.started', ...event(job) });
    await node.queues.buildLogs.append(job.buildId as BuildId, [END], JSON.stringify({ ...CHECKPOINT, outcome: SUCCEEDED }));
    await node.publish({ type: 'build.finished', ...event(job), outcome: SUCCEEDED });
  };
  const create = async (request: object = REQUEST, headers: Record<string, string> = {}): Promise<BuildView> => {
    const { status, body } = await gateway.call<BuildView>(owner.key, 'POST', '/v1/builds', request, headers);
    expect(status).toBe(202);
    return body;
  };
  const get = async (id: string): Promise<BuildView> => (await gateway.call<BuildView>(owner.key, 'GET', `/v1/builds/${id}`)).body;
  const untilState = async (id: string, state: string): Promise<BuildView> => {
    for (let tries = 0; tries < 400; tries += 1) {
      const view = await get(id);
      if (view.state === state) return view;
      await sleep(25);
    }
    throw new Error(`${id} did not become ${state}: ${JSON.stringify(await get(id))}`);
  };
  const untilIdle = async (id: string): Promise<void> => {
    while (await gateway.platform.builds.has(node.nodeId, id as BuildId)) await sleep(20);
  };
  const round = async (): Promise<void> => {
    await gateway.app.get(BuildReconciler, { strict: false }).round();
    gateway.clock.offset += 6_000;
    await gateway.app.get(BuildReconciler, { strict: false }).round();
  };
  const log = async (id: string): Promise<BuildFrame[]> => {
    const { body } = await gateway.call<string>(owner.key, 'GET', `/v1/builds/${id}/logs`);
    return body.trimEnd().split('\n').map((line) => JSON.parse(line) as BuildFrame);
  };

  it('goes as a hint to the home node, which alone is sent the values of arguments and secrets', async () => {
    const jobs: BuildJob[] = [];
    work = async (job) => {
      jobs.push(job);
      await done(job);
    };
    const { id } = await create();
    const build = await untilState(id, 'succeeded');
    expect(build).toMatchObject({ source: 'files', tags: ['docker.io/library/app:latest'], buildArgs: ['TOKEN'], secrets: ['key'], imageId: SUCCEEDED.imageId, steps: [STEP], warnings: ['mind it'] });
    expect(await log(id)).toEqual([END]);
    const { rows } = await queryRows(gateway);
    for (const where of [JSON.stringify(jobs), JSON.stringify(build), rows]) expect(where).not.toMatch(/an-argument|a-secret/);
    expect(hosts.memory(owner.id).parcels.get(id)).toMatchObject({ secrets: { key: { content: 'a-secret' } }, request: { buildArgs: { TOKEN: 'an-argument' } } });
  }, 20_000);

  it('does not believe another node, nor a second end', async () => {
    const held = Promise.withResolvers<undefined>();
    work = () => held.promise;
    const { id } = await create();
    const job = { buildId: id, tenantId: owner.id };
    await node.publish({ type: 'build.finished', ...event(job, newId('node')), outcome: SUCCEEDED });
    await node.publish({ type: 'build.started', ...event(job) });
    expect(await untilState(id, 'running')).toMatchObject({ finishedAt: null });
    await node.publish({ type: 'build.finished', ...event(job), outcome: { ...SUCCEEDED, state: 'failed', imageId: null, error: { code: 'not_found', message: 'no', line: 3 } } });
    await node.publish({ type: 'build.finished', ...event(job), outcome: SUCCEEDED });
    expect(await untilState(id, 'failed')).toMatchObject({ error: { code: 'not_found', line: 3 } });
    expect((await log(id)).at(-1)).toMatchObject({ type: 'end', state: 'failed', error: { message: 'no' } });
    held.resolve(undefined);
  }, 20_000);

  it('takes up what was lost, ends what is lost again and again, and takes over an end that nobody reported', async () => {
    work = () => Promise.resolve();
    const silent = await create();
    const unheard = await create();
    await node.queues.buildLogs.append(unheard.id as BuildId, [END], JSON.stringify({ ...CHECKPOINT, outcome: SUCCEEDED }));
    for (let count = 0; count < 5; count += 1) {
      for (const { id } of [silent, unheard]) await untilIdle(id);
      await round();
    }
    expect(await get(silent.id)).toMatchObject({ state: 'lost', error: { code: 'unavailable', message: 'the build was lost again and again' } });
    expect(hosts.memory(owner.id).parcels.has(silent.id)).toBe(false);
    expect(await get(unheard.id)).toMatchObject({ state: 'succeeded', imageId: SUCCEEDED.imageId, steps: [STEP] });
    work = done;
    const again = await create();
    await untilState(again.id, 'succeeded');
  }, 30_000);

  it('cancels what waits at once and removes what was kept for it, and asks the node to end what it holds', async () => {
    const held = Promise.withResolvers<undefined>();
    work = () => held.promise;
    const all = [await create(), await create(), await create(), await create()];
    const over = await gateway.call<ErrorBody>(owner.key, 'POST', '/v1/builds', REQUEST);
    expect([over.status, over.body.error.code]).toEqual([429, 'quota_exceeded']);
    await sleep(300);
    const waiting = all.at(-1)!;
    const cancelled = await gateway.call<BuildView>(owner.key, 'POST', `/v1/builds/${waiting.id}/cancel`);
    expect([cancelled.status, cancelled.body.state]).toEqual([200, 'cancelled']);
    expect(hosts.memory(owner.id).parcels.has(waiting.id)).toBe(false);
    expect(await log(waiting.id)).toMatchObject([{ seq: 1, type: 'end', state: 'cancelled' }]);
    expect((await gateway.call(owner.key, 'POST', `/v1/builds/${all[0]!.id}/cancel`)).status).toBe(202);
    expect(node.calls.map(({ path }) => path)).toContain(`/builds/${all[0]!.id}/cancel`);
    work = done;
    held.resolve(undefined);
    for (const { id } of all.slice(0, 2)) await untilIdle(id);
    await untilState(all[2]!.id, 'succeeded');
    await round();
    expect((await get(all[0]!.id)).state).toBe('cancelled');
    await untilIdle(all[1]!.id);
    expect((await untilState(all[1]!.id, 'succeeded')).state).toBe('succeeded');
  }, 40_000);

  it('gives the steps of one that goes on as its node wrote them', async () => {
    const held = Promise.withResolvers<undefined>();
    work = () => held.promise;
    const { id } = await create();
    await node.queues.buildLogs.append(id as BuildId, [{ type: 'step.started', seq: 1, time: 1, attempt: 1, step: 1, total: 1, stage: 0, stageName: null, text: 'FROM busybox' }], JSON.stringify(CHECKPOINT));
    expect((await get(id)).steps).toEqual([STEP]);
    work = done;
    held.resolve(undefined);
    await untilIdle(id);
    await round();
    await untilState(id, 'succeeded');
  }, 30_000);

  it('keeps nothing of a build that cannot be queued', async () => {
    const { builds } = gateway.platform.repositories;
    const make = builds.create.bind(builds);
    builds.create = () => {
      builds.create = make;
      return Promise.reject(new Error('planted'));
    };
    const before = hosts.memory(owner.id).parcels.size;
    expect((await gateway.call(owner.key, 'POST', '/v1/builds', REQUEST)).status).toBe(500);
    expect(hosts.memory(owner.id).parcels.size).toBe(before);
  });

  it('keeps a tenant that has builds which are not over', async () => {
    const held = Promise.withResolvers<undefined>();
    work = () => held.promise;
    const { id } = await create();
    expect((await gateway.call<ErrorBody>(gateway.adminKey, 'DELETE', `/v1/tenants/${owner.id}`)).body.error.code).toBe('failed_precondition');
    await gateway.call(owner.key, 'POST', `/v1/builds/${id}/cancel`);
    held.resolve(undefined);
  });
});

/** Everything that PostgreSQL has of builds, as text. */
async function queryRows({ platform }: Fixture): Promise<{ rows: string }> {
  const unfinished = await platform.repositories.builds.listUnfinished();
  const builds = await Promise.all((await platform.repositories.tenants.list({ limit: 100 })).items.map(({ id }) => platform.repositories.builds.list(id, { limit: 100 })));
  return { rows: JSON.stringify([unfinished, builds]) };
}
