import fc from 'fast-check';
import { CodedError } from '../errors.js';
import { parseIgnoreFile } from './ignore-file.js';
import { PathPattern } from './path-pattern.js';

describe('a .dockerignore', () => {
  const ignored = (text: string, paths: readonly string[]): string[] => paths.filter((path) => parseIgnoreFile(text).ignores(path));

  it.each([
    ['a name at the top', 'node_modules', ['node_modules', 'node_modules/x/y', 'a/node_modules'], ['node_modules', 'node_modules/x/y']],
    ['a slash in front', '/node_modules/', ['node_modules/x', 'a/node_modules'], ['node_modules/x']],
    ['one star', '*/temp*', ['temp', 'a/temp', 'a/temporary.txt', 'a/b/temp'], ['a/temp', 'a/temporary.txt']],
    ['two stars', '**/*.go', ['x.go', 'a/x.go', 'a/b/x.go', 'x.got'], ['x.go', 'a/x.go', 'a/b/x.go']],
    ['two stars in the middle', 'a/**/z', ['a/z', 'a/b/z', 'a/b/c/z', 'z'], ['a/z', 'a/b/z', 'a/b/c/z']],
    ['two stars at the end', 'a/**', ['a/b', 'a/b/c', 'b'], ['a/b', 'a/b/c']],
    ['a question mark', 'temp?', ['tempa', 'temp', 'tempab'], ['tempa']],
    ['a class', 'f[a-c0^].t', ['fa.t', 'f0.t', 'f^.t', 'fd.t'], ['fa.t', 'f0.t', 'f^.t']],
    ['a class that is negated', 'f[^a-c].t', ['fa.t', 'fd.t'], ['fd.t']],
    ['an escape', 'a\\*', ['a*', 'ab'], ['a*']],
    ['an exception', '*.md\n!README.md', ['a.md', 'README.md'], ['a.md']],
    ['an exception to an exception', '*.md\n!README*.md\nREADME-secret.md', ['README.md', 'README-secret.md', 'x.md'], ['README-secret.md', 'x.md']],
    ['everything but a folder', '*\n!src', ['a', 'src', 'src/a/b'], ['a']],
    ['a file in a folder that is left out', 'dir\n!dir/keep', ['dir/a', 'dir/keep'], ['dir/a']],
    ['comments and blanks', '# a\n\n  b  \n', ['a', 'b', '# a'], ['b']],
    ['dots', './a/../b', ['a', 'b'], ['b']],
    ['the context itself', '.', ['a'], []],
  ])('knows %s', (_what, text, paths, expected) => {
    expect(ignored(text, paths)).toEqual(expected);
  });

  it('tells in which folders something may come in', () => {
    const file = parseIgnoreFile('*\n!src/*/deep\n!**/keep');
    expect(['src', 'src/a', 'other/x'].map((folder) => file.mayHold(folder))).toEqual([true, true, true]);
    expect(parseIgnoreFile('*\n!src/a').mayHold('docs')).toBe(false);
  });

  it.each(['!', '[', 'a[b', '[]', 'a\\'])('refuses %s', (text) => {
    expect(() => parseIgnoreFile(text)).toThrow(CodedError);
  });
});

describe('a pattern of paths', () => {
  it('agrees with the definition', () => {
    const char = fc.constantFrom('a', 'b', '/');
    const glob = fc.constantFrom('a', 'b', '*', '?', '/');
    const clean = (text: string): string => text.split('/').filter((name) => name !== '').join('/');
    fc.assert(
      fc.property(fc.string({ unit: char, minLength: 1, maxLength: 8 }), fc.string({ unit: glob, minLength: 1, maxLength: 6 }), (path, pattern) => {
        const [subject, wanted] = [clean(path), clean(pattern)];
        if (subject === '' || wanted === '' || wanted.includes('**')) return;
        const regex = new RegExp(`^${wanted.replaceAll('*', '[^/]*').replaceAll('?', '[^/]')}$`);
        expect(new PathPattern(wanted).matches(subject)).toBe(regex.test(subject));
      }),
    );
  });

  it('takes no time that grows with the number of its stars', () => {
    expect(new PathPattern(`${'*a'.repeat(100)}b`).matches('a'.repeat(4000))).toBe(false);
    expect(new PathPattern(`${'**/a/'.repeat(50)}b`).matches('a/'.repeat(1000) + 'c')).toBe(false);
  });
});
