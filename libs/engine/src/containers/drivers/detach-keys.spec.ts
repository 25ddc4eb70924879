import fc from 'fast-check';
import { DetachKeys } from './detach-keys.js';

describe('detach keys', () => {
  const typed = (keys: string, ...pieces: string[]): { out: string; detached: boolean } => {
    const watch = new DetachKeys(Buffer.from(keys));
    let out = '';
    for (const piece of pieces) {
      const { bytes, detached } = watch.push(Buffer.from(piece));
      out += bytes.toString();
      if (detached) return { out, detached };
    }
    return { out, detached: false };
  };

  it('are found in one piece and in several; what only looked like them goes out', () => {
    expect(typed('PQ', 'abPQcd')).toEqual({ out: 'ab', detached: true });
    expect(typed('PQ', 'abP', 'Q')).toEqual({ out: 'ab', detached: true });
    expect(typed('PQ', 'abP', 'Xc')).toEqual({ out: 'abPXc', detached: false });
    expect(typed('PQ', 'PPQ')).toEqual({ out: 'P', detached: true });
    expect(typed('aab', 'aaab')).toEqual({ out: 'a', detached: true });
    expect(typed('PQ', 'P')).toEqual({ out: '', detached: false });
    expect(typed('', 'PQ')).toEqual({ out: 'PQ', detached: false });
  });

  it('let everything before the first whole sequence through, however it is cut', () => {
    fc.assert(
      fc.property(fc.stringMatching(/^[ab]{1,4}$/), fc.array(fc.stringMatching(/^[ab]{0,5}$/)), (keys, pieces) => {
        const text = pieces.join('');
        const at = text.indexOf(keys);
        const { out, detached } = typed(keys, ...pieces);
        expect(detached).toBe(at >= 0);
        if (detached) expect(out).toBe(text.slice(0, at));
        else expect([text.startsWith(out), keys.startsWith(text.slice(out.length))]).toEqual([true, true]);
      }),
    );
  });
});
