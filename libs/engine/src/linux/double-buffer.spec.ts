import fc from 'fast-check';
import { DoubleBuffer } from './double-buffer.js';

describe('a double buffer', () => {
  it('hands on every byte in order, in full writes, one at a time, from buffers that stay as they are until the write ends', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.uint8Array({ maxLength: 40 })), fc.integer({ min: 1, max: 16 }), async (pieces, size) => {
        const seen: Buffer[] = [];
        let writers = 0;
        const buffer = new DoubleBuffer(size, async (bytes) => {
          expect((writers += 1)).toBe(1);
          const before = Buffer.from(bytes);
          await new Promise((resolve) => setImmediate(resolve));
          expect(bytes).toEqual(before);
          seen.push(before);
          writers -= 1;
        });
        for (const [index, piece] of pieces.entries()) if (index % 2 === 0 || !buffer.put(piece)) await buffer.add(piece);
        await buffer.finish();
        expect(Buffer.concat(seen)).toEqual(Buffer.concat(pieces));
        expect(seen.slice(0, -1).every(({ length }) => length === size)).toBe(true);
      }),
      { numRuns: 50 },
    );
  });

  it('tells of a failed write at the next step, and never as an unhandled rejection', async () => {
    const buffer = new DoubleBuffer(2, () => Promise.reject(new Error('full')));
    await buffer.add(Buffer.from('abc'));
    await new Promise((resolve) => setImmediate(resolve));
    await expect(buffer.finish()).rejects.toThrow('full');
  });
});
