import fc from 'fast-check';
import { FrameDecoder, encodeFrame, FrameType } from './frames.js';
import { ReadSlabs } from './read-slabs.js';

describe('the memory that a socket reads into', () => {
  it('is never used twice, and frames that come through it are whole, however they are cut', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(70_000), { maxLength: 30 }), fc.array(fc.integer({ min: 1, max: 200_000 }), { minLength: 1, maxLength: 40 }), (lengths, reads) => {
        const stream = Buffer.concat(lengths.map((length, index) => encodeFrame(FrameType.output, { id: index + 1 }, Buffer.alloc(length, index))));
        const slabs = new ReadSlabs();
        const decoder = new FrameDecoder();
        const seen: { id: number; payload: Buffer }[] = [];
        for (let at = 0, turn = 0; at < stream.length; turn += 1) {
          const room = slabs.room();
          expect(room.length).toBeGreaterThan(0);
          const length = Math.min(room.length, reads[turn % reads.length]!, stream.length - at);
          room.set(stream.subarray(at, at + length));
          at += length;
          seen.push(...decoder.push(slabs.took(length)));
        }
        expect(seen.map(({ id }) => id)).toEqual(lengths.map((_, index) => index + 1));
        // Looked at when all has come: what was handed on earlier is as it was.
        for (const [index, { payload }] of seen.entries()) expect(payload.equals(Buffer.alloc(lengths[index]!, index))).toBe(true);
      }),
      { numRuns: 50 },
    );
  });

  it('is little for one who says little, and much for one who pours', () => {
    const slabs = new ReadSlabs();
    const fill = (): number => slabs.took(slabs.room().length).length;
    const sizes = Array.from({ length: 6 }, fill);
    expect(sizes[0]).toBeLessThanOrEqual(16 * 1024);
    expect(sizes.at(-1)).toBe(256 * 1024);
    slabs.room();
    slabs.took(10);
    while (slabs.room().length > 5000) slabs.took(4000);
    slabs.took(4000);
    expect(slabs.room().length).toBeLessThanOrEqual(16 * 1024);
  });
});
