import fc from 'fast-check';
import { parseRange, satisfied } from './byte-range.js';

describe('a range of bytes', () => {
  it.each([
    ['bytes=0-0', { offset: 0, length: 1 }],
    ['bytes=5-', { offset: 5 }],
    [' bytes=-3 ', { offset: -3 }],
    ['bytes=2-9', { offset: 2, length: 8 }],
  ])('%s is understood', (header, range) => {
    expect(parseRange(header)).toEqual(range);
  });

  it.each([undefined, '', 'bytes=', 'bytes=-', 'bytes=-0', 'bytes=3-2', 'bytes=0-1,3-4', 'lines=0-1', 'bytes=a-b', `bytes=${'9'.repeat(30)}-`])('%p means the whole file', (header) => {
    expect(parseRange(header)).toBeUndefined();
  });

  it('is never more than there is', () => {
    const range = fc.oneof(fc.record({ offset: fc.integer({ min: -100, max: 100 }) }), fc.record({ offset: fc.integer({ min: 0, max: 100 }), length: fc.integer({ min: 1, max: 100 }) }));
    fc.assert(
      fc.property(range, fc.nat(50), (asked, size) => {
        const got = satisfied(asked, size);
        if (got === undefined) expect(asked.offset >= size || size === 0).toBe(true);
        else {
          expect(got.start).toBe(asked.offset < 0 ? Math.max(0, size + asked.offset) : asked.offset);
          expect(got.length).toBeGreaterThan(0);
          expect(got.start + got.length).toBeLessThanOrEqual(size);
        }
      }),
    );
  });
});
