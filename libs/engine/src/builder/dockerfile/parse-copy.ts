import { execForm } from '../words/exec-form.js';
import type { Copy } from './instructions.js';
import { head } from './parse-pairs.js';
import type { Statement } from './statement.js';

const COMMON = ['chown', 'chmod', 'link', 'exclude'];
const FLAGS = { COPY: [...COMMON, 'from', 'parents'], ADD: [...COMMON, 'checksum', 'keep-git-dir', 'unpack'] } as const;

/** `COPY [flags] source… destination`, as words or as JSON. A heredoc is a source of its own. */
export function parseCopy(statement: Statement, kind: 'COPY' | 'ADD'): Copy {
  statement.expectFlags(FLAGS[kind], { repeated: ['exclude'] });
  const words = execForm(statement.rest) ?? statement.words().map(({ text }) => text);
  const destination = words.at(-1);
  if (words.length < 2 || destination === undefined) throw statement.refuse(`${kind} requires at least two arguments, but only ${words.length} ${words.length === 1 ? 'was' : 'were'} provided. Destination could not be determined`);
  const sources = words.slice(0, -1).filter((word) => !/^\d*<<-?/.test(word) || statement.heredocs.length === 0);
  if (sources.some((source) => source === '') || destination === '') throw statement.refuse(`${kind} names can not be blank`);
  return {
    kind,
    ...head(statement),
    sources,
    destination,
    heredocs: statement.heredocs,
    from: statement.flag('from'),
    chown: statement.flag('chown'),
    chmod: statement.flag('chmod'),
    link: statement.toggle('link') ?? false,
    parents: statement.toggle('parents') ?? false,
    exclude: statement.flags.flatMap(({ name, value }) => (name === 'exclude' && value !== undefined ? [value] : [])),
    checksum: statement.flag('checksum'),
    keepGitDir: statement.toggle('keep-git-dir') ?? false,
    unpack: statement.toggle('unpack'),
  };
}
