import { newId, type TenantId } from '#kernel';
import { BuildPlaces } from './build-places.js';

describe('BuildPlaces', () => {
  const anna: TenantId = newId('tenant');
  const bert: TenantId = newId('tenant');
  const never = new AbortController().signal;

  it('gives each tenant its share, and no more', () => {
    const places = new BuildPlaces();
    const leave = places.take(anna, 1);
    expect(places.take(anna, 1)).toBeUndefined();
    expect(places.free(bert, 1)).toBe(true);
    leave?.();
    expect(places.free(anna, 1)).toBe(true);
  });

  it('lets those that wait in by the order in which they came, before any job', async () => {
    const places = new BuildPlaces();
    const order: number[] = [];
    const leave = places.take(anna, 1);
    const waiting = [1, 2].map(async (number) => {
      const go = await places.wait(anna, 1, never);
      order.push(number);
      expect(places.take(anna, 1)).toBeUndefined();
      go();
    });
    leave?.();
    await Promise.all(waiting);
    expect(order).toEqual([1, 2]);
    expect(places.free(anna, 1)).toBe(true);
  });

  it('forgets who goes away while it waits, and refuses an endless line', async () => {
    const places = new BuildPlaces();
    const leave = places.take(anna, 1);
    const gone = new AbortController();
    const lost = places.wait(anna, 1, gone.signal);
    gone.abort();
    await expect(lost).rejects.toMatchObject({ code: 'cancelled' });
    const line = Array.from({ length: 32 }, () => places.wait(anna, 1, never));
    await expect(places.wait(anna, 1, never)).rejects.toMatchObject({ code: 'resource_exhausted' });
    leave?.();
    for (const each of line) (await each)();
    expect(places.free(anna, 1)).toBe(true);
  });
});
