import fc from 'fast-check';
import { CodedError } from '#kernel';
import { expandWord, expandWords } from './expand.js';
import { replaced, withoutPrefix, withoutSuffix } from './shell-pattern.js';
import { variablesOf } from './variables.js';

const variables = variablesOf(['HOME=/home/me', 'EMPTY=', 'LIST=one two', 'PATH_=/a/b/c.tar.gz', 'WORD=foo-bar-baz']);
const options = { escape: '\\', variables } as const;

describe('words of an instruction', () => {
  it.each([
    ['plain', 'plain'],
    ["'single $HOME'", 'single $HOME'],
    ['"double $HOME"', 'double /home/me'],
    ['\\$HOME', '$HOME'],
    ['"\\$HOME \\" \\\\ \\n"', '$HOME " \\ \\n'],
    ['$HOME/x', '/home/me/x'],
    ['${HOME}x', '/home/mex'],
    ['$UNSET', ''],
    ['a$', 'a$'],
    ['$1$@', ''],
    ['${UNSET:-default}', 'default'],
    ['${UNSET-default}', 'default'],
    ['${EMPTY:-default}', 'default'],
    ['${EMPTY-default}', ''],
    ['${HOME:+set}', 'set'],
    ['${EMPTY:+set}', ''],
    ['${EMPTY+set}', 'set'],
    ['${UNSET:-${HOME:-x}/y}', '/home/me/y'],
    ["${UNSET:-'a b'}", 'a b'],
    ['${PATH_#*/}', 'a/b/c.tar.gz'],
    ['${PATH_##*/}', 'c.tar.gz'],
    ['${PATH_%.*}', '/a/b/c.tar'],
    ['${PATH_%%.*}', '/a/b/c'],
    ['${WORD/-/_}', 'foo_bar-baz'],
    ['${WORD//-/_}', 'foo_bar_baz'],
    ['${WORD//-}', 'foobarbaz'],
    ['${WORD/b?r/X}', 'foo-X-baz'],
    ['${WORD#f*-}', 'bar-baz'],
    ['${PATH_//\\//:}', ':a:b:c.tar.gz'],
    ['x\\', 'x\\'],
  ])('%s is %s', (word, expected) => {
    expect(expandWord(word, options)).toBe(expected);
  });

  it('takes a back-tick for the escape character where the file says so', () => {
    expect(expandWord('C:\\a`$HOME', { escape: '`', variables })).toBe('C:\\a$HOME');
  });

  it('splits what variables hold, but not inside quotes', () => {
    expect(expandWords('a $LIST "$LIST" x$LIST $EMPTY', options)).toEqual(['a', 'one', 'two', 'one two', 'xone', 'two']);
  });

  it('leaves quotes alone in raw text, and takes escapes as ever', () => {
    expect(expandWord(`it's "$HOME", \\$HOME`, { ...options, raw: true })).toBe(`it's "/home/me", $HOME`);
  });

  it.each(["'open", '"open', '${HOME', '${HOME:-x', '${}', '${HOME:=x}', '${HOME^}', '${UNSET:?is needed}', `${'${a:-'.repeat(40)}${'}'.repeat(40)}`])('refuses %s', (word) => {
    expect(() => expandWord(word, options)).toThrow(CodedError);
  });

  it('ends with what it is given, whatever that is', () => {
    const word = fc.string({ unit: fc.constantFrom('$', '{', '}', ':', '-', '+', '?', '#', '%', '/', '*', '"', "'", '\\', 'A', 'b', ' ') });
    fc.assert(
      fc.property(word, (text) => {
        try {
          expandWords(text, { escape: '\\', variables: () => 'value of it' });
        } catch (error) {
          expect(error).toBeInstanceOf(CodedError);
        }
      }),
    );
  });

  it('stops before it eats the memory or the time', () => {
    const large = variablesOf([`L=${'x'.repeat(600_000)}`]);
    expect(() => expandWord('$L$L', { escape: '\\', variables: large })).toThrow(/1 MiB/);
    expect(() => replaced('a'.repeat(100_000), `${'*a'.repeat(50)}b`, 'x', true)).toThrow(/costs too much/);
  });
});

describe('patterns', () => {
  it('agree with the definition: some end matches and is the shortest or the longest', () => {
    const chars = fc.string({ unit: fc.constantFrom('a', 'b'), maxLength: 8 });
    const pattern = fc.string({ unit: fc.constantFrom('a', 'b', '*', '?'), maxLength: 5 });
    const matches = (text: string, glob: string): boolean => new RegExp(`^${glob.replaceAll('*', '.*').replaceAll('?', '.')}$`).test(text);
    fc.assert(
      fc.property(chars, pattern, fc.boolean(), (value, glob, greedy) => {
        const cuts = Array.from({ length: value.length + 1 }, (_, at) => at);
        const heads = cuts.filter((at) => matches(value.slice(0, at), glob));
        const tails = cuts.filter((at) => matches(value.slice(at), glob));
        expect(withoutPrefix(value, glob, greedy)).toBe(value.slice(heads.length === 0 ? 0 : greedy ? Math.max(...heads) : Math.min(...heads)));
        expect(withoutSuffix(value, glob, greedy)).toBe(value.slice(0, tails.length === 0 ? value.length : greedy ? Math.min(...tails) : Math.max(...tails)));
      }),
    );
  });
});
