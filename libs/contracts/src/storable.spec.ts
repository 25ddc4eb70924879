import { createRunSchema } from './runs.js';
import { createApiKeySchema } from './tenants.js';

// What is looked up in the database must be storable there; what only programs see may hold anything.
const run = { runtime: 'python', code: 'print("\0")', stdin: '\0' };

describe('names and labels', () => {
  it.each(['a\0b', '\ud800', '\udc00x'])('refuse %j', (bad) => {
    expect(createRunSchema.safeParse({ ...run, labels: { [bad]: 'x' } }).success).toBe(false);
    expect(createRunSchema.safeParse({ ...run, labels: { x: bad } }).success).toBe(false);
    expect(createRunSchema.safeParse({ ...run, runtime: bad }).success).toBe(false);
    expect(createApiKeySchema.safeParse({ name: bad }).success).toBe(false);
  });

  it('hold any other text, and code and stdin hold NUL', () => {
    expect(createRunSchema.safeParse({ ...run, labels: { 'é😀': '"\n\u0001' } }).success).toBe(true);
    expect(createApiKeySchema.safeParse({ name: 'ключ 😀' }).success).toBe(true);
  });
});
