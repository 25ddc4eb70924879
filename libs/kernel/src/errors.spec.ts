import { readFileSync } from 'node:fs';
import { runInNewContext } from 'node:vm';
import { asError, errnoOf } from './errors.js';

function thrownBy(work: () => unknown): unknown {
  try {
    work();
  } catch (error) {
    return error;
  }
  throw new Error('nothing was thrown');
}

describe('errors of another realm', () => {
  it('keep their errno', () => {
    expect(errnoOf(thrownBy(() => readFileSync('/nonexistent/file')))).toBe('ENOENT');
  });

  it('are Errors', () => {
    const foreign: unknown = runInNewContext('new TypeError("far away")');
    expect(asError(foreign)).toBe(foreign);
  });

  it.each([undefined, null, 7, 'text', {}])('%p is none', (value) => {
    expect(errnoOf(value)).toBeUndefined();
    expect(asError(value)).toBeInstanceOf(Error);
  });
});
