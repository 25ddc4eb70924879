import { connect, createServer, type AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import type { LogFrame, NodeEvent } from '#contracts';
import { newId } from '#kernel';
import { EVERY_SUBJECT, RedisAuthInvalidation } from './auth/redis-auth-invalidation.js';
import { RedisRunBell } from './bell/redis-run-bell.js';
import { RedisConnections } from './connections/connections.js';
import { QueueKeys } from './connections/keys.js';
import { end, openFixture, output, quiet, runJob, started, until, type QueueFixture } from './queue-fixture.contract.js';

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

  it('leaves no rejection unhandled when it closes before its subscriptions are made again', async () => {
    const unhandled: unknown[] = [];
    const note = (reason: unknown) => unhandled.push(reason);
    process.on('unhandledRejection', note);
    // Passes on what is said to Redis, the first connection's words; of later ones all but their subscriptions.
    let connected = 0;
    const between = createServer((client) => {
      const later = (connected += 1) > 1;
      const redis = connect(fixture.server.options.path);
      client.on('data', (said) => { if (!later || !said.includes('\nsubscribe\r')) redis.write(said); });
      redis.pipe(client);
      client.on('close', () => redis.destroy());
      client.on('end', () => redis.destroy());
      for (const socket of [client, redis]) socket.on('error', () => undefined);
      if (!later) breakFirst.promise.then(() => client.destroy(), () => undefined);
    });
    const breakFirst = Promise.withResolvers<undefined>();
    await new Promise<void>((resolve) => between.listen(0, '127.0.0.1', resolve));
    const connections = new RedisConnections({ host: '127.0.0.1', port: (between.address() as AddressInfo).port }, quiet);
    const subscriber = connections.connect('subscriber', 'patient');
    const keys = new QueueKeys('sandbar:');
    await RedisRunBell.open(subscriber, subscriber, keys);
    await new RedisAuthInvalidation(subscriber, subscriber, keys, quiet).subscribe(() => undefined);
    const closed = new Promise<void>((resolve) => {
      subscriber.once('ready', () => { connections.close(); });
      subscriber.once('end', () => { resolve(); });
    });
    breakFirst.resolve(undefined);
    await closed;
    await sleep(50);
    process.off('unhandledRejection', note);
    await new Promise((resolve) => between.close(resolve));
    expect(unhandled).toEqual([]);
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
