import type { Place } from '../dockerfile/place.js';
import { suggestion } from '../dockerfile/suggest.js';
import type { LintWarning } from './lint-warning.js';

/** Set by the system or the client without a word in the file. */
const AMBIENT = /^(?:PATH|(?:HTTPS?|FTP|NO|ALL)_PROXY)$/i;

/** undefined: it may have no value. `known`: names that are there. */
export function undefinedVariable(name: string, place: Place, known: readonly string[]): LintWarning | undefined {
  if (AMBIENT.test(name) || known.includes(name)) return undefined;
  const meant = suggestion(name, known);
  return { rule: 'UndefinedVar', place, message: `Usage of undefined variable '$${name}'${meant === undefined ? '' : ` (did you mean $${meant}?)`}` };
}
