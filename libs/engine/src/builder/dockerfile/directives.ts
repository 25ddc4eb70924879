import { fault } from './place.js';

/** Parser directives (`# escape=` …): comments of this form before everything else, even before an empty line. */
export interface Directives {
  readonly escape: '\\' | '`';
  /** A front end that is named is taken note of; this parser is the only one. */
  readonly syntax: string | undefined;
  /** `skip=…;error=true`. */
  readonly check: string | undefined;
}

const DIRECTIVE = /^#[ \t]*([A-Za-z][A-Za-z0-9]*)[ \t]*=[ \t]*(.+?)[ \t]*$/;
const KNOWN = new Set(['escape', 'syntax', 'check']);

/** @throws CodedError `invalid_argument`: a directive that comes twice, an escape character that is none */
export function readDirectives(lines: readonly string[]): Directives {
  const found = new Map<string, string>();
  for (const [index, line] of lines.entries()) {
    const [, name = '', value = ''] = DIRECTIVE.exec(line.trimStart()) ?? [];
    const key = name.toLowerCase();
    // The first line that is none ends them: from there on such a line is a comment.
    if (!KNOWN.has(key)) break;
    const place = { line: index + 1, column: 1 };
    if (found.has(key)) throw fault(place, `only one ${key} parser directive can be used`);
    // Of `\ (backslash)`, as the reference prints it, the first word counts.
    if (key === 'escape' && !/^[\\`](?:[ \t]|$)/.test(value)) throw fault(place, `invalid ESCAPE '${value.slice(0, 20)}'. Must be ' or \\`);
    found.set(key, value);
  }
  return { escape: found.get('escape')?.startsWith('`') === true ? '`' : '\\', syntax: found.get('syntax'), check: found.get('check') };
}
