import { setTimeout as sleep } from 'node:timers/promises';
import type { LogFrame, NodeEvent } from '#contracts';
import { newId } from '#kernel';
import { EVERY_SUBJECT } from './auth/redis-auth-invalidation.js';
import { end, openFixture, output, runJob, started, until, type QueueFixture } from './queue-fixture.contract.js';

/** Redis is killed and comes back with its append-only file, three times, while everything is in use. */
describe('Redis dies and comes back', () => {
  let fixture: QueueFixture;
  beforeEach(async () => { fixture = await openFixture({ appendOnly: true }); });
  afterEach(async () => { await fixture.close(); });

  async function crashes(times = 3): Promise<void> {
    for (let crash = 0; crash < times; crash += 1) {
      await sleep(150);
      await fixture.server.kill();
      await sleep(150);
      await fixture.server.restart();
    }
    await sleep(150);
  }

  it('loses no node event', async () => {
    const stop = new AbortController();
    const got = new Set<string>();
    const consumer = fixture.control.events.consume('one', (batch) => { for (const event of batch) if ('runId' in event) got.add(event.runId); return Promise.resolve(); }, stop.signal);
    const sent: NodeEvent[] = [];
    let crashing = true;
    const publisher = (async () => {
      while (crashing) {
        const event = started(newId('run'), newId('node'));
        await fixture.node.events.publish(event);
        sent.push(event);
        await sleep(1);
      }
    })();
    await crashes();
    crashing = false;
    await publisher;
    await until(() => sent.every((event) => 'runId' in event && got.has(event.runId)), 15_000);
    expect(sent.length).toBeGreaterThan(5);
    stop.abort();
    await consumer;
  }, 40_000);

  it('has no gap and no duplicate in a log, neither stored nor followed', async () => {
    const runs = Array.from({ length: 10 }, () => newId('run'));
    const followers = runs.map(async (run) => {
      const frames: LogFrame[] = [];
      for await (const frame of fixture.control.logs.follow(run, 0, AbortSignal.timeout(30_000))) frames.push(frame);
      return frames;
    });
    let seq = 0;
    let crashing = true;
    const writer = (async () => {
      while (crashing) {
        seq += 2;
        await Promise.all(runs.map((run) => fixture.node.logs.append(run, [output(seq - 1), output(seq)])));
        await sleep(1);
      }
    })();
    await crashes();
    crashing = false;
    await writer;
    await Promise.all(runs.map((run) => fixture.node.logs.append(run, [end(seq + 1)])));
    const expected = Array.from({ length: seq + 1 }, (_, index) => index + 1);
    for (const frames of await Promise.all(followers)) expect(frames.map((frame) => frame.seq)).toEqual(expected);
    expect((await fixture.control.logs.readAll(runs[0]!)).map((frame) => frame.seq)).toEqual(expected);
  }, 40_000);

  it('hands on every job, and starts each run once', async () => {
    const node = { nodeId: newId('node'), incarnation: '1' };
    const executed: string[] = [];
    fixture.node.consumer.start(async (job) => {
      const claim = await fixture.node.claims.take(job.runId as never, node);
      if (claim === undefined || !(await fixture.node.claims.start(job.runId as never, claim.epoch))) return;
      executed.push(job.runId);
      await sleep(5);
    });
    const sent: string[] = [];
    let crashing = true;
    const producer = (async () => {
      while (crashing) {
        const job = runJob(newId('tenant'));
        // A gateway's enqueue may fail while Redis is away; the reconciler enqueues again.
        for (;;) {
          try {
            await fixture.control.runs.enqueue(job);
            break;
          } catch {
            await sleep(20);
          }
        }
        sent.push(job.runId);
        await sleep(2);
      }
    })();
    await crashes();
    crashing = false;
    await producer;
    await until(() => executed.length >= sent.length, 20_000);
    expect([...executed].sort()).toEqual([...sent].sort());
    expect(sent.length).toBeGreaterThan(5);
  }, 60_000);

  it('rings and announces again afterwards, and says that announcements may have been missed', async () => {
    const heard: string[] = [];
    await fixture.control.authInvalidation.subscribe((subject) => heard.push(subject));
    await crashes(1);
    await until(() => heard.includes(EVERY_SUBJECT));
    await fixture.control.authInvalidation.announce('key');
    await until(() => heard.includes('key'));
    const run = newId('run');
    const bell = fixture.control.bell.arm(run);
    await fixture.control.bell.ring(run);
    expect(await bell.wait(2000)).toBe(true);
    bell.disarm();
  });

  it('fails a gateway’s commands soon, and says that it does not answer', async () => {
    await fixture.server.kill();
    const from = Date.now();
    await expect(fixture.control.runs.enqueue(runJob(newId('tenant')))).rejects.toMatchObject({ code: 'unavailable' });
    await expect(fixture.control.admission.counts(newId('tenant'))).rejects.toMatchObject({ code: 'unavailable' });
    expect(await fixture.control.ping()).toBe(false);
    expect(Date.now() - from).toBeLessThan(5000);
    await fixture.server.restart();
    await until(() => fixture.control.ping());
  });
});
