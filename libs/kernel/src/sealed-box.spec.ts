import { SealedBox } from './sealed-box.js';

describe('a sealed box', () => {
  const box = new SealedBox('token', 'purpose');
  const sealed = box.seal('owner', 'geheim €');

  it('gives back what was sealed, and shows nothing of it', () => {
    expect(new SealedBox('token', 'purpose').open('owner', sealed)).toBe('geheim €');
    expect(sealed.includes('geheim')).toBe(false);
    expect(box.seal('owner', 'geheim €')).not.toEqual(sealed);
  });

  it('opens for nothing else', () => {
    const changed = Buffer.from(sealed);
    changed.writeUInt8(changed.readUInt8(changed.length - 1) ^ 1, changed.length - 1);
    const attempts = [
      () => new SealedBox('other', 'purpose').open('owner', sealed),
      () => new SealedBox('token', 'other').open('owner', sealed),
      () => box.open('another', sealed),
      () => box.open('owner', changed),
      () => box.open('owner', Buffer.alloc(3)),
    ];
    for (const attempt of attempts) expect(attempt).toThrow(expect.objectContaining({ code: 'invalid_argument', message: 'what was sealed cannot be opened' }));
  });
});
