import { checkedPolicy } from './egress-policy.js';

describe('checkedPolicy', () => {
  it('keeps of networks the widest, each once', () => {
    expect(checkedPolicy({ kind: 'allow', cidrs: ['8.8.8.8', '8.8.8.0/24', '8.8.8.5/24', '1.1.1.1/32', '8.8.8.8/32'], domains: ['a.test'] })).toEqual({ kind: 'allow', cidrs: ['8.8.8.0/24', '1.1.1.1/32'], domains: ['a.test'] });
    expect(checkedPolicy({ kind: 'allow', cidrs: ['0.0.0.0/0', '8.8.8.8'], domains: [] })).toMatchObject({ cidrs: ['0.0.0.0/0'] });
  });

  it.each([
    [{ cidrs: ['fd00::/8'], domains: [] }],
    [{ cidrs: ['8.8.8.8/33'], domains: [] }],
    [{ cidrs: [], domains: ['*'] }],
    [{ cidrs: [], domains: ['a..b'] }],
    [{ cidrs: [], domains: ['a b.test'] }],
    [{ cidrs: [], domains: Array.from({ length: 257 }, () => 'a.test') }],
  ])('refuses %j', (lists) => {
    expect(() => checkedPolicy({ kind: 'allow', ...lists })).toThrow(expect.objectContaining({ code: 'invalid_argument' }));
  });
});
