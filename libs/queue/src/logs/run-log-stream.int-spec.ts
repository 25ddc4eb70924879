import { setTimeout as sleep } from 'node:timers/promises';
import { Redis } from 'ioredis';
import type { LogFrame } from '#contracts';
import { newId } from '#kernel';
import { end, openFixture, output, until, type QueueFixture } from '../queue-fixture.contract.js';

async function collect(frames: AsyncIterable<LogFrame>): Promise<LogFrame[]> {
  const all: LogFrame[] = [];
  for await (const frame of frames) all.push(frame);
  return all;
}
const never = new AbortController().signal;
const seqs = (frames: readonly LogFrame[]) => frames.map((frame) => frame.seq);

describe('RedisRunLogStream', () => {
  let fixture: QueueFixture;
  beforeAll(async () => { fixture = await openFixture(); });
  afterAll(async () => { await fixture.close(); });

  it('stores each frame once, as it was, and nothing after the end', async () => {
    const { logs } = fixture.node;
    const run = newId('run');
    const binary = { ...output(2, 'AAEC/w=='), encoding: 'base64', step: 'compile' } as const;
    expect(await logs.last(run)).toBeUndefined();
    await logs.append(run, [output(1, 'ünïcode\0\n'), binary]);
    await logs.append(run, [output(1, 'other'), output(2, 'other'), output(3)]);
    expect(await logs.last(run)).toEqual({ seq: 3, ended: false, checkpoint: undefined });
    await Promise.all([logs.append(run, [end(4), output(5)]), logs.append(run, [output(6)])]);
    expect(await logs.last(run)).toEqual({ seq: 4, ended: true, checkpoint: undefined });
    expect(await logs.readAll(run)).toEqual([output(1, 'ünïcode\0\n'), binary, output(3), end(4)]);
    await logs.delete(run);
    expect(await logs.readAll(run)).toEqual([]);
  });

  it('keeps the checkpoint of the frames that are there', async () => {
    const { logs } = fixture.node;
    const run = newId('run');
    await logs.append(run, [], 'before');
    expect(await logs.last(run)).toEqual({ seq: 0, ended: false, checkpoint: 'before' });
    await logs.append(run, [output(1), output(2)], 'two');
    await logs.append(run, [output(1), output(2)], 'late');
    expect(await logs.last(run)).toEqual({ seq: 2, ended: false, checkpoint: 'two' });
    await logs.append(run, [output(2), end(3)], 'three');
    await logs.append(run, [], 'after the end');
    await logs.append(run, [end(4)], 'after the end');
    expect(await logs.last(run)).toEqual({ seq: 3, ended: true, checkpoint: 'three' });
    await logs.delete(run);
    expect(await logs.last(run)).toBeUndefined();
  });

  it('takes long batches and gives them back whole', async () => {
    const { logs } = fixture.node;
    const run = newId('run');
    await logs.append(run, [...Array.from({ length: 1500 }, (_, index) => output(index + 1)), end(1501)]);
    const expected = Array.from({ length: 1501 }, (_, index) => index + 1);
    expect(seqs(await logs.readAll(run))).toEqual(expected);
    expect(seqs(await collect(fixture.control.logs.follow(run, 0, never)))).toEqual(expected);
    expect(seqs(await collect(fixture.control.logs.follow(run, 1490, never)))).toEqual(expected.slice(1490));
  });

  it('serves hundreds of followers over one connection, without gap or duplicate', async () => {
    const runs = Array.from({ length: 60 }, () => newId('run'));
    const followed = runs.flatMap((run) => [0, 0, 3].map((after) => ({ after, frames: collect(fixture.control.logs.follow(run, after, never)) })));
    await sleep(50);
    const observer = new Redis(fixture.server.options);
    const clients = String(await observer.client('LIST')).split('\n').filter((line) => line.includes('sandbar-logs'));
    observer.disconnect();
    expect(clients).toHaveLength(1);
    for (let seq = 1; seq <= 20; seq += 1) await Promise.all(runs.map((run) => fixture.node.logs.append(run, [seq === 20 ? end(seq) : output(seq)])));
    for (const { after, frames } of followed) expect(seqs(await frames)).toEqual(Array.from({ length: 20 - after }, (_, index) => index + 1 + after));
  });

  it('holds little for a slow follower', async () => {
    const run = newId('run');
    await fixture.node.logs.append(run, [...Array.from({ length: 2000 }, (_, index) => output(index + 1, 'x'.repeat(10_000))), end(2001)]);
    const frames = fixture.control.logs.follow(run, 0, never)[Symbol.asyncIterator]();
    await frames.next();
    const observer = new Redis(fixture.server.options);
    const outputOf = async () => Number(/total_net_output_bytes:(\d+)/.exec(await observer.info('stats'))?.[1]);
    const before = await outputOf();
    await sleep(300);
    // 20 MB of log: none of it moves while nobody asks.
    expect((await outputOf()) - before).toBeLessThan(100_000);
    observer.disconnect();
    await frames.return?.();
  });

  it('ends on the signal, and without an end frame when the log is gone', async () => {
    const [waiting, gone] = [newId('run'), newId('run')];
    const abort = new AbortController();
    const aborted = collect(fixture.control.logs.follow(waiting, 0, abort.signal));
    await fixture.node.logs.append(gone, [output(1)]);
    const ended = collect(fixture.control.logs.follow(gone, 0, never));
    await sleep(50);
    abort.abort();
    expect(await aborted).toEqual([]);
    await fixture.node.logs.delete(gone);
    expect(seqs(await ended)).toEqual([1]);
    expect(await collect(fixture.control.logs.follow(newId('run'), 5, never))).toEqual([]);
  });

  it('goes by itself after the grace time, and some time later even when nobody said so', async () => {
    const run = newId('run');
    await fixture.node.logs.append(run, [output(1), end(2)], 'checkpoint');
    const observer = new Redis(fixture.server.options);
    const ttls = await Promise.all([`sandbar:log:{${run}}`, `sandbar:log:{${run}}:checkpoint`].map((key) => observer.ttl(key)));
    observer.disconnect();
    for (const ttl of ttls) expect(ttl).toBeGreaterThan(3600);
    await fixture.control.logs.expire(run, 1);
    await until(async () => (await fixture.control.logs.last(run)) === undefined, 3000);
  });
});
