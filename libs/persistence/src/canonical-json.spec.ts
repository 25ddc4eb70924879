import { canonicalHash, canonicalJson } from './canonical-json.js';

describe('canonicalJson', () => {
  it('does not depend on the order of keys, at any depth', () => {
    expect(canonicalJson({ b: [{ y: 1, x: 2 }], a: null })).toBe('{"a":null,"b":[{"x":2,"y":1}]}');
    expect(canonicalHash({ a: 1, b: 2 })).toEqual(canonicalHash({ b: 2, a: 1, c: undefined }));
  });

  it.each([
    [{ a: 1 }, { a: '1' }],
    [{ a: [1, 2] }, { a: [2, 1] }],
    [{ a: { b: 1 } }, { a: { b: 1, c: null } }],
    [JSON.parse('{"__proto__":1}') as unknown, {}],
    [{ 'a":1,"b': 2 }, { a: 1, b: 2 }],
  ])('tells %j from %j', (one, other) => {
    expect(canonicalJson(one)).not.toBe(canonicalJson(other));
  });

  it('is JSON', () => {
    const value = { text: '\0"\\\u2028😀', list: [true, null, 1.5, 'x'], nested: { deep: {} } };
    expect(JSON.parse(canonicalJson(value))).toEqual(value);
  });
});
