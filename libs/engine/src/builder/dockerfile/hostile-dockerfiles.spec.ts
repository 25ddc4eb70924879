import fc from 'fast-check';
import { isCodedError } from '#kernel';
import { lintPolicy } from '../lint/check-directive.js';
import { lintDockerfile } from '../lint/lint.js';
import { DeclaredArguments, platformArguments } from '../stages/build-arguments.js';
import { planStages } from '../stages/stage-graph.js';
import { StageState } from '../stages/stage-state.js';
import { expandWord } from '../words/expand.js';
import { parseDockerfile } from './dockerfile.js';

const HERE = { os: 'linux', architecture: 'amd64' };
const platformArgs = platformArguments(HERE, HERE);
/** What a file may be long. */
const LENGTH = 1024 * 1024 - 32;

/** All that is done with a text before anything is built. A fault of the text says where it is; nothing else comes out. */
function read(text: string): void {
  try {
    const dockerfile = parseDockerfile(text);
    lintDockerfile(dockerfile, { policy: lintPolicy(dockerfile.directives.check), platformArgs });
    const { target, metaArguments } = planStages(dockerfile, { buildArgs: new Map(), platformArgs });
    const state = new StageState({ config: {}, author: '', args: new DeclaredArguments(new Map(), new Map([...platformArgs, ...metaArguments])), escape: dockerfile.directives.escape });
    for (const instruction of target.stage.instructions) state.step(instruction);
  } catch (error) {
    if (!isCodedError(error)) throw error;
    if (error.code !== 'resource_exhausted') expect([error.code, error.details]).toEqual(['invalid_argument', { line: expect.any(Number) as number, column: expect.any(Number) as number }]);
  }
}

function filled(head: string, piece: string, tail = ''): string {
  return `${head}${piece.repeat(Math.floor((LENGTH - head.length - tail.length) / piece.length))}${tail}`;
}

describe('Dockerfiles of strangers', () => {
  it('come to a plan or to a fault with a place, whatever words stand where', () => {
    const word = fc.constantFrom('FROM', 'a', 'AS', 'b', 'RUN', 'COPY', 'ADD', 'ENV', 'ARG', 'LABEL', 'CMD', 'ENTRYPOINT', 'EXPOSE', 'VOLUME', 'USER', 'WORKDIR', 'ONBUILD', 'STOPSIGNAL', 'HEALTHCHECK', 'SHELL', 'MAINTAINER', '--from=b', '--mount=type=cache,target=/x', '--mount=', '--chmod=7', '${A:-b}', '$A', '${', '"', "'", '["a"]', '[', 'A=1', '<<EOF', '<<-"E"', '\nEOF\n', '\n', '\n', '\\\n', '# check=error=true\n', '#', '/x', '..', '80/tcp', '\u0000', '\ud800', '\ufeff', 'é');
    fc.assert(fc.property(fc.array(word, { maxLength: 60 }), fc.constantFrom('', 'FROM a\n', 'ARG A=b\nFROM $A AS b\n', '# escape=`\nFROM a\n'), (words, head) => { read(`${head}${words.join(' ')}`); }), { numRuns: 500 });
  });

  it('come to one of both whatever characters they have', () => {
    fc.assert(fc.property(fc.string({ unit: 'binary', maxLength: 300 }), (text) => { read(text); read(`FROM a\n${text}`); }), { numRuns: 500 });
  });

  // Each of them takes hours when a part of it is looked at again for every part.
  it.each([
    ['lines', filled('FROM a\n', '\n')],
    ['comments', filled('FROM a\nRUN a \\\n', '#\n')],
    ['continued lines', filled('FROM a\nRUN ', '\\\n')],
    ['continued lines with words', filled('FROM a\nRUN ', 'a \\\n')],
    ['spaces', filled('FROM a\nRUN ', ' ', 'x')],
    ['escapes and spaces', filled('FROM a\nRUN ', '\\ ', 'x')],
    ['flags', filled('FROM a\nRUN ', '--a=b ')],
    ['mounts', filled('FROM a\nRUN ', '--mount=type=cache,target=/x ')],
    ['fields of a mount', filled('FROM a\nRUN --mount=type=cache,target=/x', ',id=a', ' b')],
    ['quoted fields of a mount', filled('FROM a\nRUN --mount=', '"a=""b",', ' b')],
    ['words', filled('FROM a\nCOPY ', 'a ')],
    ['pairs', filled('FROM a\nLABEL ', 'a=b ')],
    ['variables', filled('FROM a\nENV ', 'a=$b ')],
    ['one pair after the other', filled('FROM a\n', 'ENV a=b\n')],
    ['variables in a word', filled('FROM a\nENV a=', '$a')],
    ['nested variables', filled('FROM a\nENV a=', '${a:-')],
    ['open quotes', filled('FROM a\nENV a=', '"\'')],
    ['brackets', filled('FROM a\nCMD ', '[')],
    ['heredocs', filled('FROM a\nRUN ', '<<a ')],
    ['lines of a heredoc', filled('FROM a\nRUN <<E\n', 'x\n', 'E\n')],
    ['stages', filled('', 'FROM a\n')],
    ['stages on stages', filled('FROM a AS b\n', 'FROM b AS b\n')],
    ['ports', filled('FROM a\nEXPOSE ', '1-65535 ')],
    ['one unknown word', filled('FROM a\n', 'X')],
    ['an argument that doubles', `FROM a\nENV A=aaaaaaaaaaaaaaaa\n${'ENV A=$A$A\n'.repeat(100)}`],
    ['triggers', filled('FROM a\nONBUILD ', 'ONBUILD ')],
  ])('end when they are a megabyte of %s', (_, text) => {
    read(text);
  }, 20_000);

  it.each(['#', '##', '%', '%%', '/', '//'])('end when a pattern is made to cost (%s)', (operator) => {
    const value = 'a'.repeat(150_000);
    for (const pattern of ['*a*a*a*a*a*a*b', '**', `${'*a'.repeat(1000)}b`, '?'.repeat(1000)]) {
      try {
        expandWord(`$\{V${operator}${pattern}${operator.startsWith('/') ? '/x' : ''}}`, { escape: '\\', variables: () => value });
      } catch (error) {
        expect(isCodedError(error) ? error.code : error).toBe('resource_exhausted');
      }
    }
  }, 20_000);
});
