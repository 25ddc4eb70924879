import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { IdRanges, readSubordinateRanges } from './id-ranges.js';

describe('IdRanges', () => {
  it('gives disjoint ranges, the lowest free one first, and takes them back', () => {
    const ranges = new IdRanges();
    expect([ranges.take(), ranges.take(), ranges.take()]).toEqual([0, 1, 2]);
    expect(ranges.rangeOf(1)).toEqual({ hostStart: 1_065_536, size: 65_536 });
    ranges.release(1);
    expect(ranges.take()).toBe(1);
  });

  it('never gives what is claimed, and tells when two claim the same', () => {
    const ranges = new IdRanges();
    ranges.claim(0);
    expect(ranges.take()).toBe(1);
    expect(() => {
      ranges.claim(1);
    }).toThrow(expect.objectContaining({ code: 'conflict' }));
    expect(() => {
      ranges.claim(-1);
    }).toThrow(expect.objectContaining({ code: 'invalid_argument' }));
  });

  it('leaves the ranges of others alone', () => {
    const ranges = new IdRanges([{ hostStart: 1_065_535, size: 2 }]);
    expect(ranges.take()).toBe(2);
  });

  it('ends at the last uid', () => {
    const ranges = new IdRanges([{ hostStart: 1_000_000, size: 0xffff_ffff - 1_000_000 - 65_536 * 2 }]);
    const slot = ranges.take();
    expect(ranges.rangeOf(slot).hostStart + 65_535).toBeLessThan(0xffff_ffff);
    expect(() => {
      for (;;) ranges.take();
    }).toThrow(expect.objectContaining({ code: 'resource_exhausted' }));
  });

  it('reads subuid files and lives without them', async () => {
    const dir = await mkdtemp(join(tmpdir(), 'subuid-'));
    await writeFile(join(dir, 'subuid'), 'ada:1000000:65536\n\nbad line\nbob:2000000:10\n');
    expect(await readSubordinateRanges([join(dir, 'subuid'), join(dir, 'none')])).toEqual([
      { hostStart: 1_000_000, size: 65_536 },
      { hostStart: 2_000_000, size: 10 },
    ]);
    await rm(dir, { recursive: true });
  });
});
