import fc from 'fast-check';
import { cleanArchivePath } from './archive-path.js';

describe('cleanArchivePath', () => {
  it.each([
    ['./', ''],
    ['a//b/./c/', 'a/b/c'],
    ['/a', 'a'],
    ['/../a', 'a'],
    ['a/../b', 'b'],
    ['a/..', ''],
    ['..', undefined],
    ['a/../../b', undefined],
  ])('%s is %s', (path, clean) => {
    expect(cleanArchivePath(path)).toBe(clean);
  });

  it('never answers with a path that could leave, and takes its own answers as they are', () => {
    fc.assert(
      fc.property(fc.array(fc.constantFrom('..', '.', '', 'a', '...', '..a')), (names) => {
        const clean = cleanArchivePath(names.join('/'));
        if (clean === undefined) return;
        expect(clean.split('/')).not.toContain('..');
        expect(clean).not.toMatch(/^\/|\/$/);
        expect(cleanArchivePath(clean)).toBe(clean);
      }),
    );
  });
});
