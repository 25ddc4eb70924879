import fc from 'fast-check';
import { DetachKeys, parseDetachKeys } from './detach-keys.js';

describe('detach keys', () => {
  it.each<[string, number[]]>([['ctrl-p,ctrl-q', [16, 17]], ['a,ctrl-]', [97, 29]], ['ctrl-@', [0]]])('%s', (text, bytes) => {
    expect([...parseDetachKeys(text)]).toEqual(bytes);
  });

  it.each(['ctrl-', 'ctrl-pp', 'alt-x', ''])('"%s" is refused', (text) => {
    expect(() => parseDetachKeys(text)).toThrow(expect.objectContaining({ exitCode: 2 }));
  });

  it('leave, in pieces too, and take nothing else away', () => {
    const keys = new DetachKeys(parseDetachKeys('ctrl-p,ctrl-q'));
    expect(keys.take(Buffer.from('ab\x10'))).toEqual({ bytes: Buffer.from('ab'), detached: false });
    expect(keys.take(Buffer.from('\x10c'))).toEqual({ bytes: Buffer.from('\x10\x10c'), detached: false });
    expect(keys.take(Buffer.from('\x10'))).toEqual({ bytes: Buffer.alloc(0), detached: false });
    expect(keys.take(Buffer.from('\x11rest'))).toEqual({ bytes: Buffer.alloc(0), detached: true });
  });

  it('let through what does not hold them, however it is cut', () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 20 })), (pieces) => {
        const all = Buffer.concat(pieces);
        fc.pre(!all.includes(Buffer.from([16, 17])));
        const keys = new DetachKeys(Buffer.from([16, 17]));
        const passed = Buffer.concat(pieces.map((piece) => keys.take(Buffer.from(piece)).bytes));
        // The last key may still be held back.
        expect(all.at(-1) === 16 ? Buffer.concat([passed, Buffer.from([16])]) : passed).toEqual(all);
      }),
    );
  });
});
