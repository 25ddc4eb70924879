import { Readable } from 'node:stream';
import { MAX_WEBHOOK_BYTES, WebhookBodies } from './webhook-bodies.js';

const MiB = 1024 * 1024;

describe('bodies of webhooks', () => {
  const bodies = new WebhookBodies();
  /** In pieces of a MiB. */
  const of = (mebibytes: number): Readable => Readable.from(Array.from({ length: mebibytes }, () => Buffer.alloc(MiB)), { objectMode: false });
  const sizeOf = (bytes: Buffer): Promise<number> => Promise.resolve(bytes.length);
  /** 8 MiB that are all there, until the promise is settled. */
  const hold = async (owner: string, until: Promise<number>): Promise<{ readonly end: Promise<number> }> => {
    const there = Promise.withResolvers<undefined>();
    const end = bodies.read(of(8), owner, () => {
      there.resolve(undefined);
      return until;
    });
    end.catch(() => undefined);
    await Promise.race([there.promise, end]);
    return { end };
  };

  it('are whole, and empty when there is none or nobody waits for it', async () => {
    expect(await bodies.read(of(3), 'a', sizeOf)).toBe(3 * MiB);
    expect(await bodies.read(undefined, 'a', sizeOf)).toBe(0);
    expect(await bodies.read(of(3), undefined, sizeOf)).toBe(0);
  });

  it('end at their bound, also when nobody waits for them', async () => {
    expect(await bodies.read(of(MAX_WEBHOOK_BYTES / MiB), 'a', sizeOf)).toBe(MAX_WEBHOOK_BYTES);
    for (const owner of ['a', undefined]) await expect(bodies.read(of(MAX_WEBHOOK_BYTES / MiB + 1), owner, sizeOf)).rejects.toMatchObject({ code: 'payload_too_large' });
  });

  it('are held for one owner up to a bound, without harm to another, and let go of however they end', async () => {
    const holding = Promise.withResolvers<number>();
    const held = [await hold('a', holding.promise), await hold('a', holding.promise)];
    await Promise.all([bodies.read(of(1), 'b', sizeOf), expect(bodies.read(of(1), 'a', sizeOf)).rejects.toMatchObject({ code: 'resource_exhausted' })]);
    holding.reject(new Error('no'));
    await Promise.allSettled(held.map(({ end }) => end));
    expect(await bodies.read(of(8), 'a', sizeOf)).toBe(8 * MiB);
  });

  it('are held for all owners up to a bound', async () => {
    const holding = Promise.withResolvers<number>();
    const held = await Promise.all(Array.from({ length: 16 }, (_, owner) => hold(`o${owner}`, holding.promise)));
    await expect(bodies.read(of(1), 'one more', sizeOf)).rejects.toMatchObject({ code: 'resource_exhausted' });
    holding.resolve(1);
    await Promise.all(held.map(({ end }) => end));
    expect(await bodies.read(of(1), 'one more', sizeOf)).toBe(MiB);
  });

  it('whose sender goes away are let go of', async () => {
    const broken = (): Readable => Readable.from((function* () {
      yield Buffer.alloc(7 * MiB);
      throw new Error('reset');
    })(), { objectMode: false });
    for (let n = 0; n < 3; n += 1) await expect(bodies.read(broken(), 'a', sizeOf)).rejects.toMatchObject({ code: 'cancelled' });
    expect(await bodies.read(of(8), 'a', sizeOf)).toBe(8 * MiB);
  });
});
