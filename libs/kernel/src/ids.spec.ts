import { isId, newId, parseId, timeOfId } from './ids.js';

describe('ids', () => {
  it('never gives the same one again', () => {
    expect(new Set(Array.from({ length: 1000 }, () => newId('run', 1))).size).toBe(1000);
  });

  it('sort by the time of their making', () => {
    const ids = [1, 2, 300, 70_000, 1_763_683_200_000].map((now) => newId('run', now));
    expect([...ids].sort()).toEqual(ids);
  });

  it.each([1, 70_000, 1_763_683_200_123])('tell the time of their making (%d)', (now) => {
    expect(timeOfId(newId('tenant', now))).toBe(now);
  });

  it('know their kind', () => {
    expect(isId('run', newId('run'))).toBe(true);
    expect(isId('tenant', newId('run'))).toBe(false);
  });

  it.each(['', 'run_', 'run_../../etc/passwd', `run_${'z'.repeat(26)}`, `run_${'0'.repeat(27)}`, 7, undefined])('refuse %p as not found', (value) => {
    expect(() => parseId('run', value)).toThrow(expect.objectContaining({ code: 'not_found' }));
  });
});
