import { setTimeout as sleep } from 'node:timers/promises';
import { KeyedQueue } from './keyed-queue.js';

describe('KeyedQueue', () => {
  it('does the work of one key in order, one at a time, whatever fails', async () => {
    const queue = new KeyedQueue();
    const said: string[] = [];
    const work = (name: string, ms: number, fails = false) => async () => {
      said.push(`${name} starts`);
      await sleep(ms);
      said.push(`${name} ends`);
      if (fails) throw new Error(name);
      return name;
    };
    const results = await Promise.allSettled([queue.run('k', work('a', 10)), queue.run('k', work('b', 1, true)), queue.run('k', work('c', 1))]);
    expect(results.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled']);
    expect(said).toEqual(['a starts', 'a ends', 'b starts', 'b ends', 'c starts', 'c ends']);
  });

  it('lets no key wait for another', async () => {
    const queue = new KeyedQueue();
    const gate = Promise.withResolvers<undefined>();
    const held = queue.run('a', () => gate.promise);
    expect(await queue.run('b', () => Promise.resolve(7))).toBe(7);
    let idle = false;
    const idling = queue.idle().then(() => (idle = true));
    await sleep(1);
    expect(idle).toBe(false);
    gate.resolve(undefined);
    await Promise.all([held, idling]);
  });
});
