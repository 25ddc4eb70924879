import { newId, systemClock } from '#kernel';
import type { HostEvent } from '../events.js';
import { MemoryHostEvents } from './memory-host-events.js';

const [a, b] = [newId('tenant'), newId('tenant')];
const event = (id: string): Omit<HostEvent, 'timeNs'> => ({ type: 'volume', action: 'create', id, attributes: { driver: 'local' } });

async function read(events: AsyncIterable<HostEvent>, count: number): Promise<HostEvent[]> {
  const found: HostEvent[] = [];
  for await (const each of events) {
    found.push(each);
    if (found.length === count) break;
  }
  return found;
}
const ids = (found: HostEvent[]): string[] => found.map(({ id }) => id);

describe('MemoryHostEvents', () => {
  let events: MemoryHostEvents;
  let stop: AbortController;
  beforeEach(() => {
    events = new MemoryHostEvents({ clock: { ...systemClock, now: () => 1_000 } });
    stop = new AbortController();
  });

  it('rise although the clock stands still, or goes back', async () => {
    let now = 5_000;
    const moved = new MemoryHostEvents({ clock: { ...systemClock, now: () => (now -= 1) } });
    for (let count = 0; count < 5; count += 1) moved.publish(a, event(String(count)));
    const times = (await read(moved.follow(a, 0n, stop.signal), 5)).map(({ timeNs }) => timeNs);
    expect(times[0]).toBe(4_999_000_000n);
    expect(times.every((time, index) => index === 0 || time > times[index - 1]!)).toBe(true);
  });

  it('keeps the newest 256 of each tenant', async () => {
    for (let count = 0; count < 300; count += 1) events.publish(a, event(String(count)));
    events.publish(b, event('theirs'));
    const found = await read(events.follow(a, 0n, stop.signal), 256);
    expect([found[0]!.id, found.at(-1)!.id]).toEqual(['44', '299']);
    expect(ids(await read(events.follow(b, 0n, stop.signal), 1))).toEqual(['theirs']);
  });

  it('gives those after a time, then what comes, with none lost between', async () => {
    for (const id of ['1', '2', '3']) events.publish(a, event(id));
    const [first] = await read(events.follow(a, 0n, stop.signal), 1);
    const following = events.follow(a, first!.timeNs, stop.signal);
    events.publish(a, event('4'));
    expect(ids(await read(following, 3))).toEqual(['2', '3', '4']);
  });

  it('gives nothing of the past when not asked, and nothing of another tenant', async () => {
    events.publish(a, event('old'));
    const reading = read(events.follow(a, undefined, stop.signal), 1);
    events.publish(b, event('theirs'));
    events.publish(a, event('new'));
    expect(ids(await reading)).toEqual(['new']);
  });

  it('ends with the signal, before and after it began', async () => {
    const reading = read(events.follow(a, 0n, stop.signal), 1);
    stop.abort();
    expect(await reading).toEqual([]);
    expect(await read(events.follow(a, 0n, stop.signal), 1)).toEqual([]);
  });

  it('ends a reader that is too slow, and only that one', async () => {
    const slow = events.follow(a, undefined, stop.signal);
    const other = events.follow(a, undefined, stop.signal);
    const reading = read(other, 1_100);
    for (let count = 0; count < 1_100; count += 1) {
      events.publish(a, event(String(count)));
      if (count % 100 === 0) await new Promise(setImmediate);
    }
    await expect(read(slow, 2_000)).rejects.toMatchObject({ code: 'resource_exhausted' });
    expect(await reading).toHaveLength(1_100);
  });

  it('says how far back it knows everything', async () => {
    const beginning = events.position(a);
    expect(events.covers(a, beginning - 1n)).toBe(false);
    for (let count = 0; count < 256; count += 1) events.publish(a, event(String(count)));
    expect(events.covers(a, beginning)).toBe(true);
    const all = await read(events.follow(a, beginning, stop.signal), 256);
    events.publish(a, event('256'));
    expect([events.covers(a, beginning), events.covers(a, all[0]!.timeNs), events.covers(b, beginning)]).toEqual([false, true, true]);
    expect(ids(await read(events.follow(a, all[0]!.timeNs, stop.signal), 256)).at(0)).toBe('1');
    expect(events.position(a)).toBe(all.at(-1)!.timeNs + 1n);
  });

  it('forgets a tenant and ends its readers', async () => {
    events.publish(a, event('1'));
    const reading = read(events.follow(a, undefined, stop.signal), 1);
    events.forget(a);
    expect(await reading).toEqual([]);
    const after = read(events.follow(a, 0n, stop.signal), 1);
    events.publish(a, event('2'));
    expect(ids(await after)).toEqual(['2']);
  });
});
