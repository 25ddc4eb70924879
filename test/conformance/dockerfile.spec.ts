import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { parseDockerfile } from '#engine';
import { asError, CodedError } from '#kernel';

const CASES = join(import.meta.dirname, 'dockerfile');
/** Write what comes out in the place of what should, to be looked at and committed. */
const UPDATE = process.env.SANDBAR_UPDATE_GOLDEN === '1';

/** Where false says something else than nothing. */
const TRISTATE = new Set(['unpack', 'readOnly']);

/** A folder a case: `Dockerfile`, and `result.json` (what is read, without what is not there) or `error.txt`. */
describe('Dockerfiles', () => {
  it.each(readdirSync(CASES))('%s', (name) => {
    const result = read(readFileSync(join(CASES, name, 'Dockerfile'), 'utf8'));
    const file = join(CASES, name, typeof result === 'string' ? 'error.txt' : 'result.json');
    const text = typeof result === 'string' ? `${result}\n` : `${JSON.stringify(result, null, 2)}\n`;
    if (UPDATE) writeFileSync(file, text);
    expect(text).toBe(readFileSync(file, 'utf8'));
  });

  it('end in a tree or a fault with a place, whatever is written in them', () => {
    const piece = fc.constantFrom('FROM', 'RUN', 'COPY', 'ENV', 'ONBUILD', 'HEALTHCHECK', 'CMD', ' ', '\n', '\\\n', '#', '<<EOF', 'EOF\n', '--', '=', '"', "'", '[', ']', ',', '$', 'a', '# escape=`\n');
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 40 }), (pieces) => {
        try {
          parseDockerfile(`FROM x\n${pieces.join('')}`);
        } catch (error) {
          expect(error).toBeInstanceOf(CodedError);
          expect((error as CodedError).details).toEqual({ line: expect.any(Number) as number, column: expect.any(Number) as number });
        }
      }),
      { numRuns: 1000 },
    );
  });
});

function read(text: string): object | string {
  try {
    return JSON.parse(JSON.stringify(parseDockerfile(text), (key, value: unknown) => (key === 'text' || (value === false && !TRISTATE.has(key)) ? undefined : value))) as object;
  } catch (error) {
    return asError(error).message;
  }
}
