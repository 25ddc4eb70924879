import { CodedError } from '../errors.js';
import { PathPattern } from './path-pattern.js';

/** What a `.dockerignore` leaves out of a context: the last line that speaks of a path, or of a folder above it, decides. */
export interface IgnoreFile {
  /** How many lines it has that say something. */
  readonly patterns: number;
  ignores(path: string): boolean;
  /** Something below the folder may come in all the same, by a line with `!`. */
  mayHold(folder: string): boolean;
}

const MAX_PATTERNS = 10_000;

/** @throws CodedError `invalid_argument`: a pattern with a syntax error, a lone `!` */
export function parseIgnoreFile(text: string): IgnoreFile {
  const rules = text
    .replace(/^\uFEFF/, '')
    .split(/\r?\n/)
    .flatMap((line, index) => (line.startsWith('#') ? [] : ruleOf(line.trim(), index + 1)));
  if (rules.length > MAX_PATTERNS) throw new CodedError('invalid_argument', `.dockerignore: more than ${MAX_PATTERNS} patterns`);
  return {
    patterns: rules.length,
    ignores: (path) => rules.findLast(({ pattern }) => pattern.matchesOrParent(path))?.exclude ?? false,
    mayHold: (folder) => rules.some(({ exclude, pattern }) => !exclude && (pattern.matchesOrParent(folder) || pattern.mayMatchBelow(folder))),
  };
}

function ruleOf(line: string, number: number): { readonly exclude: boolean; readonly pattern: PathPattern }[] {
  if (line === '') return [];
  const exclude = !line.startsWith('!');
  const text = cleaned(exclude ? line : line.slice(1).trim());
  if (text === undefined) throw new CodedError('invalid_argument', `.dockerignore: illegal exclusion pattern: "!" on line ${number}`);
  // The context itself is never left out.
  return text === '.' ? [] : [{ exclude, pattern: new PathPattern(text) }];
}

/** Without `.`, `..`, doubled and outer slashes. undefined: nothing was there. */
function cleaned(text: string): string | undefined {
  if (text === '') return undefined;
  const names: string[] = [];
  for (const name of text.split('/')) {
    if (name === '..') names.pop();
    else if (name !== '' && name !== '.') names.push(name);
  }
  return names.length === 0 ? '.' : names.join('/');
}
