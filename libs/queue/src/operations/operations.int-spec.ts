import { Redis } from 'ioredis';
import { setTimeout as sleep } from 'node:timers/promises';
import type { OperationJob, OperationProgress } from '#contracts';
import { newId, type NodeId, type OperationId, type TenantId } from '#kernel';
import { createNodeQueues } from '../front-doors.js';
import { openFixture, quiet, until, type QueueFixture } from '../queue-fixture.contract.js';
import { SealedAuth } from './sealed-auth.js';

function aJob(tenantId: TenantId = newId('tenant'), more: Partial<OperationJob> = {}): OperationJob & { operationId: OperationId } {
  return { operationId: newId('operation'), tenantId, requestId: newId('request'), kind: 'image.pull', reference: 'docker.io/library/busybox:latest', concurrentOperations: 2, ...more } as never;
}

describe('operations in Redis', () => {
  let fixture: QueueFixture;
  beforeAll(async () => {
    fixture = await openFixture();
  });
  afterAll(() => fixture.close());
  const node = () => createNodeQueues(fixture.server.options, quiet, { concurrency: 1 });
  const lines = async (id: OperationId, after = 0, signal = AbortSignal.timeout(10_000)): Promise<OperationProgress[]> => {
    const all: OperationProgress[] = [];
    for await (const line of fixture.control.progress.follow(id, after, signal)) all.push(line);
    return all;
  };

  it("gives a job to its node alone, once, and takes a waiting one back", async () => {
    const [here, there]: NodeId[] = [newId('node'), newId('node')];
    const [one, two] = [aJob(), aJob()];
    const { operations } = fixture.control;
    await operations.enqueue(here!, one);
    await operations.enqueue(here!, one);
    await operations.enqueue(here!, two);
    expect([await operations.has(here!, one.operationId), await operations.has(there!, one.operationId)]).toEqual([true, false]);
    expect([await operations.remove(here!, two.operationId), await operations.remove(here!, two.operationId)]).toEqual([true, false]);
    const queues = node();
    const got: string[] = [];
    queues.operations(here!).start((job) => Promise.resolve(void got.push(job.operationId)));
    await until(() => got.length > 0);
    await until(async () => !(await operations.has(here!, one.operationId)));
    await queues.close();
    expect(got).toEqual([one.operationId]);
  });

  it('runs no more of a tenant at once than it may have, and lets others pass', async () => {
    const nodeId: NodeId = newId('node');
    const [busy, other] = [newId('tenant'), newId('tenant')];
    const jobs = [...Array.from({ length: 6 }, () => aJob(busy)), aJob(other)];
    for (const job of jobs) await fixture.control.operations.enqueue(nodeId, job);
    const queues = node();
    const gate = Promise.withResolvers<undefined>();
    const running: string[] = [];
    let most = 0;
    let done = 0;
    queues.operations(nodeId).start(async ({ tenantId }) => {
      running.push(tenantId);
      most = Math.max(most, running.filter((id) => id === busy).length);
      await gate.promise;
      running.splice(running.indexOf(tenantId), 1);
      done += 1;
    });
    await until(() => running.includes(other) && running.length === 3);
    await sleep(600);
    expect(running).toHaveLength(3);
    gate.resolve(undefined);
    await until(() => done === 7, 15_000);
    expect(most).toBe(2);
    await queues.close();
  }, 30_000);

  it('brings a job again when its handler throws or its worker closes', async () => {
    const nodeId: NodeId = newId('node');
    const job = aJob();
    await fixture.control.operations.enqueue(nodeId, job);
    const first = node();
    let tries = 0;
    first.operations(nodeId).start(async (_job, signal) => {
      tries += 1;
      if (tries === 1) throw new Error('once');
      await new Promise((resolve) => {
        signal.addEventListener('abort', resolve);
      });
      throw signal.reason as Error;
    });
    await until(() => tries === 2);
    await first.close();
    expect(await fixture.control.operations.has(nodeId, job.operationId)).toBe(true);
    const second = node();
    second.operations(nodeId).start(() => Promise.resolve(void (tries += 1)));
    await until(() => tries === 3, 10_000);
    await second.close();
  }, 30_000);

  it('numbers progress, hands it on live and again, and takes nothing after the end', async () => {
    const { progress } = fixture.node;
    const id: OperationId = newId('operation');
    const live = lines(id);
    await progress.append(id, [{ id: 'a', status: 'Downloading', current: 1 }, { id: 'b', status: 'Pulling fs layer' }]);
    await progress.append(id, [{ id: 'a', status: 'Download complete' }]);
    await progress.append(id, [{ aux: { imageId: 'x' } }], { end: true });
    await progress.append(id, [{ status: 'late' }]);
    await progress.append(id, [{ error: { code: 'internal', message: 'late' } }], { end: true });
    const all = await live;
    expect(all.map(({ seq }) => seq)).toEqual([1, 2, 3, 4]);
    expect(all.at(-1)).toEqual({ seq: 4, aux: { imageId: 'x' }, end: true });
    expect(await lines(id, 2)).toEqual(all.slice(2));
    expect(await lines(id, 4)).toEqual(all.slice(3));
    expect(await progress.last(id)).toEqual(all.at(-1));
    const redis = new Redis(fixture.server.options);
    const ttl = await redis.ttl(`sandbar:progress:{${id}}`);
    redis.disconnect();
    expect(ttl).toBeGreaterThan(3590);
    expect(ttl).toBeLessThanOrEqual(3600);
  });

  it('keeps progress bounded', async () => {
    const id: OperationId = newId('operation');
    for (let batch = 0; batch < 50; batch += 1) await fixture.node.progress.append(id, Array.from({ length: 200 }, (_, index) => ({ id: 'a', status: 'Downloading', current: index })));
    await fixture.node.progress.append(id, [{ aux: {} }], { end: true });
    const kept = await lines(id);
    expect(kept.length).toBeLessThan(5000);
    expect(kept.at(-1)).toMatchObject({ seq: 10_001, end: true });
  });

  it('seals credentials for one operation and one token', () => {
    const sealed = new SealedAuth('token of the nodes');
    const id: OperationId = newId('operation');
    const auth = { username: 'u', password: 'geheim' };
    const text = sealed.seal(id, auth);
    expect(Buffer.from(text, 'base64').includes('geheim')).toBe(false);
    expect(sealed.seal(id, auth)).not.toBe(text);
    expect(new SealedAuth('token of the nodes').open(id, text)).toEqual(auth);
    const changed = Buffer.from(text, 'base64');
    changed[changed.length - 1]! ^= 1;
    for (const attempt of [() => new SealedAuth('another').open(id, text), () => sealed.open(newId('operation'), text), () => sealed.open(id, changed.toString('base64')), () => sealed.open(id, 'AA==')]) {
      expect(attempt).toThrow(expect.objectContaining({ code: 'invalid_argument' }));
    }
  });
});
