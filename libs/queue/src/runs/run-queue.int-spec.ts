import { setTimeout as sleep } from 'node:timers/promises';
import { Redis } from 'ioredis';
import { newId, type RunId } from '#kernel';
import { QueueKeys } from '../connections/keys.js';
import { createNodeQueues } from '../front-doors.js';
import { openFixture, quiet, runJob, until, type QueueFixture } from '../queue-fixture.contract.js';
import { BullRunQueue } from './bull-run-queue.js';

describe('BullRunQueue and BullRunConsumer', () => {
  let fixture: QueueFixture;
  beforeEach(async () => { fixture = await openFixture({ concurrency: 2 }); });
  afterEach(async () => { await fixture.close(); });

  it('hands on each job once, enqueued once or twice, and knows where it is', async () => {
    const { runs } = fixture.control;
    const job = runJob(newId('tenant'));
    await Promise.all([runs.enqueue(job), runs.enqueue(job)]);
    await runs.enqueue(job);
    expect([await runs.has(job.runId as RunId), await runs.depth()]).toEqual([true, { waiting: 1, active: 0 }]);
    const handled: unknown[] = [];
    const gate = Promise.withResolvers<undefined>();
    fixture.node.consumer.start(async (got) => {
      handled.push(got);
      await gate.promise;
    });
    await until(() => handled.length > 0);
    expect([await runs.remove(job.runId as RunId), await runs.has(job.runId as RunId), await runs.depth()]).toEqual([false, true, { waiting: 0, active: 1 }]);
    gate.resolve(undefined);
    await until(async () => !(await runs.has(job.runId as RunId)));
    await sleep(100);
    expect(handled).toEqual([job]);
    expect(await runs.remove(job.runId as RunId)).toBe(false);
  });

  it('takes a waiting job away', async () => {
    const { runs } = fixture.control;
    const job = runJob(newId('tenant'));
    await runs.enqueue(job);
    expect([await runs.remove(job.runId as RunId), await runs.remove(job.runId as RunId), await runs.has(job.runId as RunId)]).toEqual([true, false, false]);
  });

  it('comes again when the handler throws, without end', async () => {
    let tries = 0;
    fixture.node.consumer.start(() => {
      tries += 1;
      return tries < 4 ? Promise.reject(new Error('not now')) : Promise.resolve();
    });
    const job = runJob(newId('tenant'));
    await fixture.control.runs.enqueue(job);
    await until(async () => tries === 4 && !(await fixture.control.runs.has(job.runId as RunId)));
  });

  it('serves a small tenant near the front of a burst', async () => {
    const { runs } = fixture.control;
    const [big, small] = [newId('tenant'), newId('tenant')];
    const burst = Array.from({ length: 3000 }, () => runJob(big));
    for (let from = 0; from < burst.length; from += 100) await Promise.all(burst.slice(from, from + 100).map((job) => runs.enqueue(job)));
    const order: string[] = [];
    let smallAt = Infinity;
    fixture.node.consumer.start(async (job) => {
      order.push(job.tenantId);
      // The small tenant comes while the burst is being served.
      if (order.length === 50) {
        smallAt = order.length;
        for (let i = 0; i < 10; i += 1) await runs.enqueue(runJob(small));
      }
    });
    await until(() => order.filter((tenant) => tenant === small).length === 10, 20_000);
    expect(order.lastIndexOf(small) - smallAt).toBeLessThan(60);
  }, 60_000);

  it('stays fair when virtual time runs past its horizon, again and again', async () => {
    const redis = new Redis(fixture.server.options);
    const queue = new BullRunQueue(redis, new QueueKeys('sandbar:'), quiet, 50);
    const [big, small] = [newId('tenant'), newId('tenant')];
    const order: string[] = [];
    fixture.node.consumer.start((job) => {
      order.push(job.tenantId);
      return Promise.resolve();
    });
    let expected = 0;
    for (let round = 0; round < 12; round += 1) {
      const from = order.length;
      await Promise.all(Array.from({ length: 60 }, () => queue.enqueue(runJob(big))));
      await Promise.all(Array.from({ length: 3 }, () => queue.enqueue(runJob(small))));
      expected += 63;
      await until(() => order.length === expected);
      expect(order.slice(from).filter((tenant) => tenant === small)).toHaveLength(3);
    }
    const { generation, now } = await redis.hgetall('sandbar:fair:runs:clock');
    expect(Number(generation)).toBeGreaterThan(5);
    expect(Number(now)).toBeLessThan(200);
    await queue.close();
    redis.disconnect();
  }, 30_000);

  it('keeps the order of what waits when virtual time is moved back', async () => {
    const redis = new Redis(fixture.server.options);
    await redis.hset('sandbar:fair:runs:clock', 'now', 90);
    const queue = new BullRunQueue(redis, new QueueKeys('sandbar:'), quiet, 100);
    const [big, small] = [newId('tenant'), newId('tenant')];
    const jobs = Array.from({ length: 30 }, () => runJob(big));
    for (const job of jobs) await queue.enqueue(job);
    const late = runJob(small);
    await queue.enqueue(late);
    expect(await redis.hget('sandbar:fair:runs:clock', 'generation')).toBe('1');
    const order: string[] = [];
    fixture.node.consumer.start((job) => {
      order.push(job.runId);
      return Promise.resolve();
    });
    await until(() => order.length === 31);
    expect(order.indexOf(late.runId)).toBeLessThan(4);
    expect(order.filter((id) => id !== late.runId)).toEqual(jobs.map((job) => job.runId));
    await queue.close();
    redis.disconnect();
  });

  it('drops a malformed job and goes on', async () => {
    const redis = new Redis(fixture.server.options);
    const bad = runJob(newId('tenant'));
    await fixture.control.runs.enqueue(bad);
    await redis.hset(`sandbar:bull:runs:${bad.runId}`, 'data', '{"runId":7}');
    redis.disconnect();
    const good = runJob(newId('tenant'));
    await fixture.control.runs.enqueue(good);
    const handled: string[] = [];
    fixture.node.consumer.start((job) => { handled.push(job.runId); return Promise.resolve(); });
    await until(async () => handled.length > 0 && !(await fixture.control.runs.has(bad.runId as RunId)));
    expect(handled).toEqual([good.runId]);
  });

  it('brings the job of a dead worker again within ten seconds, and tells the one that lost its lock', async () => {
    // A worker whose connections are cut off cannot renew its lock: for Redis that is death.
    const dying = createNodeQueues(fixture.server.options, quiet, { concurrency: 1 });
    const job = runJob(newId('tenant'));
    const taken = Promise.withResolvers<AbortSignal>();
    const over = Promise.withResolvers<undefined>();
    dying.consumer.start(async (_job, signal) => {
      taken.resolve(signal);
      await over.promise;
    });
    await fixture.control.runs.enqueue(job);
    const lost = await taken.promise;
    const again: string[] = [];
    const admin = new Redis(fixture.server.options);
    await admin.set(`sandbar:bull:runs:${job.runId}:lock`, 'someone-else', 'PX', 1000);
    fixture.node.consumer.start((got) => { again.push(got.runId); return Promise.resolve(); });
    const from = Date.now();
    await until(() => again.length === 1, 12_000);
    expect(Date.now() - from).toBeLessThan(10_000);
    await until(() => lost.aborted, 5000);
    over.resolve(undefined);
    admin.disconnect();
    await dying.close();
  }, 30_000);

  it('closes when the jobs in hand are over, and tells them', async () => {
    let told = false;
    let ended = false;
    const taken = Promise.withResolvers<undefined>();
    fixture.node.consumer.start(async (_job, signal) => {
      taken.resolve(undefined);
      await new Promise<void>((resolve) => { signal.addEventListener('abort', () => { resolve(); }); });
      told = true;
      await sleep(100);
      ended = true;
    });
    await fixture.control.runs.enqueue(runJob(newId('tenant')));
    await taken.promise;
    await fixture.node.consumer.close();
    expect([told, ended]).toEqual([true, true]);
  });
});
