import { setTimeout as sleep } from 'node:timers/promises';
import type { ErrorBody, OperationJob, OperationOutcome, OperationProgress, OperationView, Page } from '#contracts';
import { newId, type NodeId, type OperationId, type TenantId } from '#kernel';
import { asTenantCaller, type TenantCaller } from '../auth/caller.js';
import { HomeNodes } from '../nodes/home-nodes.service.js';
import { OperationReconciler } from '../reconciler/operation-reconciler.service.js';
import { startFixture, type Fixture } from '../testing/gateway-fixture.contract.js';
import type { SimulatedNode } from '../testing/simulated-node.contract.js';
import { OperationsService } from './operations.service.js';

describe('operations', () => {
  let gateway: Fixture;
  let node: SimulatedNode;
  let service: OperationsService;
  let owner: { id: string; key: string; keyId: string };
  let caller: TenantCaller;
  /** What the node does with a job; nothing: it is in hand for ever. */
  let work: (job: OperationJob, signal: AbortSignal) => Promise<void>;
  beforeAll(async () => {
    gateway = await startFixture();
    node = await gateway.node();
    service = gateway.app.get(OperationsService, { strict: false });
    owner = await gateway.tenant();
    const tenant = await gateway.platform.repositories.tenants.find(owner.id as TenantId);
    caller = asTenantCaller({ keyId: owner.keyId as never, keyHash: '', scopes: ['host:write'], tenant: tenant! });
    node.queues.operations(node.nodeId).start((job, signal) => work(job, signal));
  }, 60_000);
  afterAll(() => gateway.stop(), 30_000);

  const event = ({ operationId, tenantId }: OperationJob, nodeId: NodeId = node.nodeId) => ({ operationId, tenantId, nodeId, time: Date.now() });
  const SUCCEEDED: OperationOutcome = { state: 'succeeded', result: { imageId: 'sha256:x', changed: true }, error: null };
  const done = async (job: OperationJob): Promise<void> => {
    const id = job.operationId as OperationId;
    await node.publish({ type: 'operation.started', ...event(job) });
    await node.queues.progress.append(id, [{ id: 'aaa', status: 'Downloading', current: 1, total: 2 }]);
    await node.queues.progress.append(id, [{ aux: { imageId: 'sha256:x', changed: true } }], { end: true });
    await node.publish({ type: 'operation.finished', ...event(job), outcome: SUCCEEDED });
  };
  const get = async (id: string): Promise<OperationView> => (await gateway.call<OperationView>(owner.key, 'GET', `/v1/operations/${id}`)).body;
  const untilState = async (id: string, state: string): Promise<OperationView> => {
    for (let tries = 0; tries < 400; tries += 1) {
      const view = await get(id);
      if (view.state === state) return view;
      await sleep(25);
    }
    throw new Error(`${id} did not become ${state}: ${JSON.stringify(await get(id))}`);
  };
  const progress = async (id: string, after = 0): Promise<OperationProgress[]> => {
    const { body } = await gateway.call<string>(owner.key, 'GET', `/v1/operations/${id}/progress?after=${after}`);
    return body.trimEnd().split('\n').map((line) => JSON.parse(line) as OperationProgress);
  };
  const round = async (): Promise<void> => {
    await gateway.app.get(OperationReconciler, { strict: false }).round();
  };

  it('is queued at the home node, followed while it goes on, and over with its result', async () => {
    const gate = Promise.withResolvers<undefined>();
    const jobs: OperationJob[] = [];
    work = async (job) => {
      jobs.push(job);
      await gate.promise;
      await done(job);
    };
    const view = await service.pull(caller, { reference: 'busybox', auth: { username: 'u', password: 'geheim' }, platform: { os: 'linux', architecture: 'arm64' } });
    expect(view).toMatchObject({ kind: 'image.pull', state: 'queued', reference: 'docker.io/library/busybox:latest', result: null });
    const following = progress(view.id);
    gate.resolve(undefined);
    const lines = await following;
    expect(lines).toEqual([{ seq: 1, id: 'aaa', status: 'Downloading', current: 1, total: 2 }, { seq: 2, end: true, aux: { imageId: 'sha256:x', changed: true } }]);
    expect(await untilState(view.id, 'succeeded')).toMatchObject({ result: SUCCEEDED.result, error: null });
    expect(await progress(view.id, 1)).toEqual(lines.slice(1));
    expect(jobs[0]).toMatchObject({ operationId: view.id, platform: { architecture: 'arm64' }, concurrentOperations: 4 });
    expect(JSON.stringify(jobs[0])).not.toContain('geheim');
    // An hour later.
    await gateway.platform.redis.del(`sandbar:progress:{${view.id}}`);
    expect(await progress(view.id, 1)).toEqual([{ seq: 2, end: true, aux: SUCCEEDED.result }]);
    expect((await gateway.call<Page<OperationView>>(owner.key, 'GET', '/v1/operations?state=succeeded')).body.items.map(({ id }) => id)).toEqual([view.id]);
  }, 20_000);

  it('refuses what is no reference, and does not believe another node or a second end', async () => {
    work = () => Promise.resolve();
    await expect(service.pull(caller, { reference: 'Not A Name' })).rejects.toMatchObject({ code: 'invalid_argument' });
    const held = Promise.withResolvers<undefined>();
    work = () => held.promise;
    const { id } = await service.push(caller, { reference: 'r.example:5000/app:v1' });
    const job = { operationId: id, tenantId: owner.id } as OperationJob;
    await node.publish({ type: 'operation.finished', ...event(job, newId('node')), outcome: SUCCEEDED });
    await node.publish({ type: 'operation.started', ...event(job) });
    expect(await untilState(id, 'running')).toMatchObject({ finishedAt: null });
    await node.publish({ type: 'operation.finished', ...event(job), outcome: { state: 'failed', result: null, error: { code: 'unauthenticated', message: 'no' } } });
    await node.publish({ type: 'operation.finished', ...event(job), outcome: SUCCEEDED });
    await node.publish({ type: 'operation.started', ...event(job) });
    expect(await untilState(id, 'failed')).toMatchObject({ error: { code: 'unauthenticated', message: 'no' } });
    expect(await progress(id)).toEqual([{ seq: 1, end: true, error: { code: 'unauthenticated', message: 'no' } }]);
    held.resolve(undefined);
    await sleep(200);
    expect((await get(id)).state).toBe('failed');
  }, 20_000);

  it('cancels what waits at once, and has the node end what it holds', async () => {
    const held = Promise.withResolvers<undefined>();
    work = () => held.promise;
    const all = [];
    for (let count = 0; count < 5; count += 1) all.push(await service.pull(caller, { reference: `a:${count}` }));
    const waiting = all.at(-1)!;
    await sleep(300);
    const cancelled = await gateway.call<OperationView>(owner.key, 'POST', `/v1/operations/${waiting.id}/cancel`);
    expect([cancelled.status, cancelled.body.state]).toEqual([200, 'cancelled']);
    expect(await progress(waiting.id)).toMatchObject([{ end: true, error: { code: 'cancelled' } }]);
    const running = all[0]!;
    expect((await gateway.call(owner.key, 'POST', `/v1/operations/${running.id}/cancel`)).status).toBe(202);
    expect(node.calls.map(({ path }) => path)).toContain(`/operations/${running.id}/cancel`);
    const before = node.calls.length;
    await round();
    expect(node.calls.length).toBe(before + 1);
    held.resolve(undefined);
    // Jobs that ended without a word: gone twice, five seconds apart.
    for (const { id } of all.slice(0, 4)) while (await gateway.platform.operations.has(node.nodeId, id as OperationId)) await sleep(20);
    work = done;
    await round();
    expect((await get(running.id)).state).toBe('queued');
    gateway.clock.offset += 6_000;
    await round();
    expect((await get(running.id)).state).toBe('cancelled');
    for (const { id } of all.slice(1, 4)) await untilState(id, 'succeeded');
  }, 30_000);

  it('ends what was lost with its credentials, what is lost again and again, and takes over an end that nobody reported', async () => {
    work = () => Promise.resolve();
    const withAuth = await service.pull(caller, { reference: 'private', auth: { username: 'u', password: 'p' } });
    const silent = await service.pull(caller, { reference: 'silent' });
    const unheard = await service.pull(caller, { reference: 'unheard' });
    await node.queues.progress.append(unheard.id as OperationId, [{ error: { code: 'not_found', message: 'manifest unknown' } }], { end: true });
    for (let count = 0; count < 5; count += 1) {
      for (const { id } of [withAuth, silent, unheard]) while (await gateway.platform.operations.has(node.nodeId, id as OperationId)) await sleep(20);
      await round();
      gateway.clock.offset += 6_000;
      await round();
    }
    expect(await get(withAuth.id)).toMatchObject({ state: 'failed', error: { code: 'unavailable', message: 'the operation was lost with its credentials: try again' } });
    expect(await get(silent.id)).toMatchObject({ state: 'failed', error: { code: 'unavailable', message: 'the operation was lost again and again' } });
    expect(await get(unheard.id)).toMatchObject({ state: 'failed', error: { code: 'not_found', message: 'manifest unknown' } });
  }, 30_000);

  it('shows another tenant nothing', async () => {
    const stranger = await gateway.tenant();
    const held = Promise.withResolvers<undefined>();
    work = () => held.promise;
    const { id } = await service.pull(caller, { reference: 'mine' });
    for (const [method, path] of [['GET', ''], ['POST', '/cancel'], ['GET', '/progress']] as const) {
      const answer = await gateway.call<ErrorBody>(stranger.key, method, `/v1/operations/${id}${path}`);
      const unknown = await gateway.call<ErrorBody>(stranger.key, method, `/v1/operations/${newId('operation')}${path}`);
      expect(answer.status).toBe(404);
      expect({ ...answer.body.error, requestId: '' }).toEqual({ ...unknown.body.error, requestId: '' });
    }
    expect((await gateway.call<Page<OperationView>>(stranger.key, 'GET', '/v1/operations')).body.items).toEqual([]);
    expect((await gateway.call<ErrorBody>(gateway.adminKey, 'DELETE', `/v1/tenants/${owner.id}`)).body.error.code).toBe('failed_precondition');
    await gateway.call(owner.key, 'POST', `/v1/operations/${id}/cancel`);
    held.resolve(undefined);
  });

  it("gives tenants homes where there are fewest, for good, and drops a deleted tenant's host when its node is there", async () => {
    const other = await gateway.node();
    const { tenants } = gateway.platform.repositories;
    const homes = gateway.app.get(HomeNodes, { strict: false });
    const made = await Promise.all(Array.from({ length: 5 }, () => gateway.tenant()));
    for (const { id } of made) await homes.of(id as TenantId);
    const where = await Promise.all(made.map(({ id }) => tenants.homeNode(id as TenantId)));
    // One lives on the first node already.
    expect(where.filter((nodeId) => nodeId === other.nodeId)).toHaveLength(3);
    const rivals = await Promise.all(Array.from({ length: 8 }, () => tenants.assignHomeNode(made[0]!.id as TenantId, [newId('node')])));
    expect(new Set(rivals)).toEqual(new Set([where[0]]));
    const moved = made[where.indexOf(other.nodeId)]!;
    await other.stop();
    gateway.clock.offset += 2_000;
    await expect(homes.rpcUrlOf(other.nodeId)).rejects.toMatchObject({ code: 'unavailable' });
    expect((await gateway.call(gateway.adminKey, 'DELETE', `/v1/tenants/${moved.id}`)).status).toBe(204);
    expect(await tenants.listDrops(10)).toEqual([{ tenantId: moved.id, nodeId: other.nodeId }]);
    await tenants.forgetDrop(moved.id as TenantId);
    expect(await tenants.listDrops(10)).toEqual([]);
  }, 20_000);
});
