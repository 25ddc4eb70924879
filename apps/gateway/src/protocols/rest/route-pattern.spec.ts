import { RoutePattern } from './route-pattern.js';

describe('RoutePattern', () => {
  const pattern = new RoutePattern('/v1/runs/:id/logs');
  it('gives the parameters, decoded', () => {
    expect(pattern.match('/v1/runs/a%20b/logs')).toEqual({ id: 'a b' });
  });
  it.each(['/v1/runs//logs', '/v1/runs/a/logs/', '/v1/runs/a/b/logs', '/v1/runs/a', '/v1/runs/%zz/logs', '/V1/runs/a/logs', ''])('does not match %j', (path) => {
    expect(pattern.match(path)).toBeUndefined();
  });
});
