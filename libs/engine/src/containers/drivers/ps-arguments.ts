import { CodedError } from '#kernel';
import { PS_COLUMNS, type PsColumn } from './ps-columns.js';

export interface PsField {
  readonly title: string;
  readonly column: PsColumn;
}

const FULL = ['uid_name=UID', 'pid', 'ppid', 'c', 'stime', 'tty=TTY', 'time', 'cmd'];
const USERS = ['user', 'pid', '%cpu', '%mem', 'vsz', 'rss', 'tty=TTY', 'stat', 'start_time=START', 'bsdtime', 'command'];
const EVERY = ['pid', 'tty=TTY', 'time', 'ucmd'];
const BSD = ['pid', 'tty=TTY', 'stat', 'bsdtime', 'command'];
const MAX_ARGUMENTS = 1024;
const MAX_FIELDS = 64;

/** Which columns `ps` shows with these arguments, of the forms that people use: `-ef`, `aux`, `-o pid,comm`, `-eo …`. @throws CodedError `invalid_argument` */
export function parsePsArguments(text: string): PsField[] {
  const { letters, names } = readWords((text.trim() === '' ? '-ef' : text.trim()).slice(0, MAX_ARGUMENTS).split(/\s+/));
  const chosen = names.length > 0 ? names : letters.has('-f') ? FULL : letters.has('u') ? USERS : letters.has('x') ? BSD : EVERY;
  if (chosen.length > MAX_FIELDS) throw refused('ps: too many columns');
  const fields = chosen.map(fieldOf);
  // Docker's rule, kept for who relies on it: a table without numbers is of no use.
  if (!fields.some(({ title }) => title === 'PID')) throw refused("Couldn't find PID field in ps output");
  return fields;
}

/** A letter means another thing behind a dash in one case only: `-f` is the full format, `f` a tree. */
function readWords(words: string[]): { letters: Set<string>; names: string[] } {
  const letters = new Set<string>();
  const names: string[] = [];
  for (let word = words.shift(); word !== undefined; word = words.shift()) {
    const [, dash = '', flags = '', list] = /^(-?)([A-Za-z]*?)(?:o(.*))?$/.exec(word) ?? [];
    if (flags === '' && list === undefined) throw refused(`ps: unsupported argument: ${word.slice(0, 100)}`);
    for (const flag of flags) {
      if (!'eAafuxwd'.includes(flag)) throw refused(`ps: unsupported option -- '${flag}'`);
      letters.add(flag === 'f' ? `${dash}f` : flag);
    }
    if (list !== undefined) names.push(...(list === '' ? (words.shift() ?? '') : list).split(','));
  }
  return { letters, names };
}

function fieldOf(name: string): PsField {
  const [key = '', ...header] = name.split('=');
  const column = PS_COLUMNS.get(key);
  if (column === undefined) throw refused(`ps: unknown user-defined format specifier "${key.slice(0, 40)}"`);
  const title = header.join('=');
  if (title.startsWith('PID') && key !== 'pid') throw refused(`specifying "${key}=${title.slice(0, 40)}" is not allowed`);
  return { title: title === '' ? column.title : title, column };
}

function refused(message: string): CodedError {
  return new CodedError('invalid_argument', message);
}
