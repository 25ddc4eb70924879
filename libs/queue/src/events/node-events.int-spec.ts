import { setTimeout as sleep } from 'node:timers/promises';
import { Redis } from 'ioredis';
import type { NodeEvent } from '#contracts';
import { newId, type Logger } from '#kernel';
import { openFixture, quiet, started, until, type QueueFixture } from '../queue-fixture.contract.js';

describe('RedisNodeEvents', () => {
  let fixture: QueueFixture;
  let observer: Redis;
  const errors: string[] = [];
  const node = newId('node');
  const logger: Logger = { ...quiet, error: (_fields, message) => void errors.push(message) };
  beforeAll(async () => {
    fixture = await openFixture({ logger });
    observer = new Redis(fixture.server.options);
  });
  afterAll(async () => {
    observer.disconnect();
    await fixture.close();
  });

  /** Runs `work` beside a consumer. */
  async function consuming(handle: (batch: readonly NodeEvent[]) => Promise<void>, work: () => Promise<void>): Promise<void> {
    const stop = new AbortController();
    const consumer = fixture.control.events.consume('one', handle, stop.signal);
    try {
      await work();
    } finally {
      stop.abort();
      await consumer;
    }
  }

  it('hands on what was published, in order, and keeps nothing that is handled', async () => {
    const sent = Array.from({ length: 250 }, (_, index) => started(newId('run'), node, index));
    for (const event of sent.slice(0, 100)) await fixture.node.events.publish(event);
    const got: NodeEvent[] = [];
    await consuming((batch) => { got.push(...batch); return Promise.resolve(); }, async () => {
      await Promise.all(sent.slice(100).map((event) => fixture.node.events.publish(event)));
      await until(() => got.length >= sent.length);
      await until(async () => (await observer.xlen('sandbar:node-events')) === 0);
    });
    expect(got).toEqual(sent);
  });

  it('drops what is malformed and says so', async () => {
    await observer.xadd('sandbar:node-events', '*', 'e', '{"type":"run.started"}');
    await observer.xadd('sandbar:node-events', '*', 'e', 'not json');
    await observer.xadd('sandbar:node-events', '*', 'other', '1');
    const good = started(newId('run'), node);
    await fixture.node.events.publish(good);
    const got: NodeEvent[] = [];
    await consuming((batch) => { got.push(...batch); return Promise.resolve(); }, () => until(async () => got.length > 0 && (await observer.xlen('sandbar:node-events')) === 0));
    expect(got).toEqual([good]);
    expect(errors).toContain('malformed node events are dropped');
  });

  it('goes on past a poisonous event and brings it again', async () => {
    const [poison, ...good] = [1, 2, 3].map(() => started(newId('run'), node)) as [NodeEvent, NodeEvent, NodeEvent];
    for (const event of [poison, ...good]) await fixture.node.events.publish(event);
    let healed = false;
    const got: NodeEvent[] = [];
    await consuming(
      (batch) => {
        if (!healed && batch.some((event) => 'runId' in event && 'runId' in poison && event.runId === poison.runId)) return Promise.reject(new Error('poison'));
        got.push(...batch);
        return Promise.resolve();
      },
      async () => {
        await until(() => got.length === 2);
        expect(got).toEqual(good);
        await sleep(2500);
        healed = true;
        await until(() => got.length === 3, 9000);
      },
    );
    expect(got[2]).toEqual(poison);
  }, 20_000);

  it('claims what a dead consumer had in hand after five seconds', async () => {
    const event = started(newId('run'), node);
    await fixture.node.events.publish(event);
    await observer.xreadgroup('GROUP', 'control', 'dead', 'COUNT', 10, 'STREAMS', 'sandbar:node-events', '>');
    const got: NodeEvent[] = [];
    const from = Date.now();
    await consuming((batch) => { got.push(...batch); return Promise.resolve(); }, () => until(() => got.length === 1, 9000));
    expect(got).toEqual([event]);
    expect(Date.now() - from).toBeGreaterThan(4000);
  }, 20_000);
});
