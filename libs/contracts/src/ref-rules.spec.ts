import fc from 'fast-check';
import { matchesRule, onlyRefOf, refOf, refRuleSchema } from './ref-rules.js';

describe('rules of which pushes build', () => {
  it.each([
    ['main', 'main', true],
    ['main', 'main2', false],
    ['main', 'Main', false],
    ['release/*', 'release/1.0/fix', true],
    ['release/*', 'release', false],
    ['*', 'anything', true],
    ['v*.*', 'v1.0', true],
    ['v*.*', 'v1', false],
    ['a*a', 'a', false],
    ['a*a', 'aa', true],
    ['*-rc*', 'v1-rc2', true],
    ['a**b', 'ab', true],
  ])('%s names %s: %s', (pattern, name, expected) => {
    expect(matchesRule({ branch: pattern }, { type: 'branch', name })).toBe(expected);
    expect(matchesRule({ tag: pattern }, { type: 'tag', name })).toBe(expected);
    expect(matchesRule({ tag: pattern }, { type: 'branch', name })).toBe(false);
    expect(matchesRule({ branch: pattern }, { type: 'tag', name })).toBe(false);
  });

  it('say what a regular expression with .* would', () => {
    const text = fc.stringMatching(/^[ab*]{1,8}$/);
    fc.assert(fc.property(text, fc.stringMatching(/^[ab]{0,10}$/), (pattern, name) => {
      const expression = new RegExp(`^${pattern.replaceAll('*', '.*')}$`);
      expect(matchesRule({ branch: pattern }, { type: 'branch', name })).toBe(expression.test(name));
    }));
  });

  it('mean one ref when they have no star', () => {
    expect(onlyRefOf({ branch: 'main' })).toEqual({ type: 'branch', name: 'main' });
    expect(onlyRefOf({ tag: 'v*' })).toBeUndefined();
  });

  it.each(['', '-x', 'a b', 'a~1', 'a:b', 'a\0', 'a\n', '*********', 'x'.repeat(256)])('are refused with the name %j', (branch) => {
    expect(refRuleSchema.safeParse({ branch }).success).toBe(false);
  });

  it('read branches and tags out of full refs, and nothing else', () => {
    expect(refOf('refs/heads/feature/x')).toEqual({ type: 'branch', name: 'feature/x' });
    expect(refOf('refs/tags/v1')).toEqual({ type: 'tag', name: 'v1' });
    for (const other of ['main', 'refs/heads/', 'refs/pull/1/head', 'xrefs/heads/a']) expect(refOf(other)).toBeUndefined();
  });
});
