import { PassThrough } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { readExactly } from './read-exactly.js';

describe('readExactly', () => {
  it('takes what is asked for, however it comes, and leaves the rest', async () => {
    const source = new PassThrough();
    const first = readExactly(source, 5, 1000);
    for (const piece of ['a', 'bcd', 'efg']) {
      source.write(piece);
      await sleep(1);
    }
    expect((await first).toString()).toBe('abcde');
    expect((await readExactly(source, 2, 1000)).toString()).toBe('fg');
    expect(await readExactly(source, 0, 1000)).toHaveLength(0);
  });

  it('takes more than the stream holds by itself', async () => {
    const source = new PassThrough({ highWaterMark: 1024 });
    const whole = readExactly(source, 300_000, 5000);
    for (let number = 0; number < 300; number += 1) if (!source.write(Buffer.alloc(1000))) await sleep(0);
    expect(await whole).toHaveLength(300_000);
  });

  it('says when it ends too early, breaks off or takes too long', async () => {
    const short = new PassThrough();
    short.end('abc');
    await expect(readExactly(short, 5, 1000)).rejects.toMatchObject({ code: 'cancelled' });
    const broken = new PassThrough();
    setTimeout(() => broken.destroy(new Error('reset')), 5);
    await expect(readExactly(broken, 5, 1000)).rejects.toMatchObject({ code: 'cancelled' });
    await expect(readExactly(new PassThrough(), 5, 20)).rejects.toMatchObject({ code: 'deadline_exceeded' });
  });
});
