import { setTimeout as sleep } from 'node:timers/promises';
import { Redis } from 'ioredis';
import type { NodeHeartbeat } from '#contracts';
import { newId } from '#kernel';
import { createControlQueues } from './front-doors.js';
import { openFixture, quiet, until, type QueueFixture } from './queue-fixture.contract.js';

let fixture: QueueFixture;
beforeAll(async () => { fixture = await openFixture(); });
afterAll(async () => { await fixture.close(); });

describe('RedisNodeRegistry', () => {
  const heartbeat = (): NodeHeartbeat => ({ nodeId: newId('node'), incarnation: '1', rpcUrl: 'unix:/x', startedAt: 1, runIds: [newId('run')], runtimes: [], availableRuntimes: [], ready: true });

  it('lists who beats, forgets who leaves and who is silent', async () => {
    const [one, other, silent] = [heartbeat(), heartbeat(), heartbeat()];
    for (const beat of [one, other, silent]) await fixture.node.nodes.beat(beat);
    const { nodes } = fixture.control;
    expect(await nodes.get(one.nodeId as never)).toEqual(one);
    await nodes.leave(other.nodeId as never);
    await sleep(4000);
    await fixture.node.nodes.beat({ ...one, ready: false });
    await sleep(2500);
    expect(await nodes.list()).toEqual([{ ...one, ready: false }]);
    expect(await nodes.get(silent.nodeId as never)).toBeUndefined();
  }, 15_000);

  it('overlooks a malformed heartbeat', async () => {
    const redis = new Redis(fixture.server.options);
    const id = newId('node');
    await redis.set(`sandbar:node:${id}`, '{"nodeId":1');
    await redis.sadd('sandbar:nodes', id);
    redis.disconnect();
    expect((await fixture.control.nodes.list()).filter((node) => node.nodeId === id)).toEqual([]);
  });
});

describe('RedisTickets', () => {
  it('are good once, whoever asks at once, and not after their time', async () => {
    const { tickets } = fixture.control;
    const { ticket, expiresAt } = await tickets.issue('key_1', 30);
    expect(expiresAt.getTime() - Date.now()).toBeGreaterThan(25_000);
    const answers = await Promise.all(Array.from({ length: 10 }, () => tickets.redeem(ticket)));
    expect(answers.filter((answer) => answer !== undefined)).toEqual(['key_1']);
    for (const wrong of ['', 'tkt_', `${ticket}x`, 'x'.repeat(10_000)]) expect(await tickets.redeem(wrong)).toBeUndefined();
    const short = await tickets.issue('key_2', 1);
    await sleep(1200);
    expect(await tickets.redeem(short.ticket)).toBeUndefined();
  });
});

describe('RedisRunBell', () => {
  it('rings for those armed, once each, and for no other run', async () => {
    const { bell } = fixture.control;
    const [run, other] = [newId('run'), newId('run')];
    const [one, two, quiet, early] = [bell.arm(run), bell.arm(run), bell.arm(other), bell.arm(run)];
    const waits = [one.wait(2000), two.wait(2000), quiet.wait(200)];
    await bell.ring(run);
    expect(await Promise.all(waits)).toEqual([true, true, false]);
    // It rang before anyone waited: armed is armed.
    expect(await early.wait(0)).toBe(true);
    const abort = new AbortController();
    const aborted = quiet.wait(5000, abort.signal);
    abort.abort();
    expect(await aborted).toBe(false);
    for (const each of [one, two, quiet, early]) each.disarm();
  });
});

describe('RedisAuthInvalidation', () => {
  it('reaches every listener, though one of them throws', async () => {
    const heard: string[] = [];
    const { authInvalidation } = fixture.control;
    await authInvalidation.subscribe(() => { throw new Error('bad listener'); });
    await authInvalidation.subscribe((subject) => heard.push(subject));
    await authInvalidation.announce('ten_1');
    await until(() => heard.length === 1);
    expect(heard).toEqual(['ten_1']);
  });
});

describe('closing', () => {
  it('leaves no timer behind that would hold the process', async () => {
    const timers = () => process.getActiveResourcesInfo().filter((kind) => kind === 'Timeout').length;
    const before = timers();
    const control = await createControlQueues(fixture.server.options, quiet);
    const stop = new AbortController();
    const consuming = control.events.consume('c', () => Promise.resolve(), stop.signal);
    const following = (async () => { for await (const frame of control.logs.follow(newId('run'), 0, stop.signal)) expect(frame).toBeUndefined(); })();
    await new Promise((resolve) => setTimeout(resolve, 100));
    stop.abort();
    await Promise.all([consuming, following]);
    await control.close();
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect(timers()).toBeLessThanOrEqual(before);
  });
});
