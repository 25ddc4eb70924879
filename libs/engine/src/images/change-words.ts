import { CodedError } from '#kernel';

/** Environment by name. */
export type Variables = ReadonlyMap<string, string>;

const NAME_START = /[A-Za-z_]/;
const NAME = /^[A-Za-z_][A-Za-z0-9_]*|^[0-9@*#!?-]/;

/** Words as the Dockerfile reference parts them: at blanks outside quotes, backslashes and quotes left in. */
export function splitWords(text: string): string[] {
  const words: string[] = [];
  let word: string | undefined;
  let quote = '';
  for (let at = 0; at < text.length; at += 1) {
    const char = text.charAt(at);
    if (quote === '' && /\s/.test(char)) {
      if (word !== undefined) words.push(word);
      word = undefined;
      continue;
    }
    word = (word ?? '') + char;
    if (char === '\\' && quote !== "'" && at + 1 < text.length) word += text.charAt((at += 1));
    else if (quote !== '' && char === quote) quote = '';
    else if (quote === '' && (char === '"' || char === "'")) quote = char;
  }
  if (word !== undefined) words.push(word);
  return words;
}

/**
 * A word without its quotes, variables replaced: `$a`, `${a}`, `${a:-else}`, `${a:+then}`.
 * @throws CodedError `invalid_argument`
 */
export function expandWord(word: string, variables: Variables): string {
  return new WordReader(word, variables).read('');
}

/** Reads from left to right; `${a:-…}` holds a word of its own. */
class WordReader {
  private at = 0;

  constructor(
    private readonly word: string,
    private readonly variables: Variables,
  ) {}

  read(end: '' | '}'): string {
    let result = '';
    while (this.at < this.word.length) {
      const char = this.word.charAt(this.at);
      if (char === end) return result;
      this.at += 1;
      if (char === "'") result += this.singleQuoted();
      else if (char === '"') result += this.doubleQuoted();
      else if (char === '$') result += this.variable();
      else if (char === '\\') result += this.word.charAt(this.at++);
      else result += char;
    }
    if (end !== '') throw new CodedError('invalid_argument', `syntax error: missing '}' in ${JSON.stringify(this.word)}`);
    return result;
  }

  private singleQuoted(): string {
    const end = this.word.indexOf("'", this.at);
    if (end < 0) throw new CodedError('invalid_argument', 'unexpected end of statement while looking for matching single-quote');
    const text = this.word.slice(this.at, end);
    this.at = end + 1;
    return text;
  }

  private doubleQuoted(): string {
    let result = '';
    while (this.at < this.word.length) {
      const char = this.word.charAt(this.at++);
      if (char === '"') return result;
      if (char === '$') {
        result += this.variable();
      } else if (char === '\\' && /["$\\]/.test(this.word.charAt(this.at))) {
        result += this.word.charAt(this.at++);
      } else {
        result += char;
      }
    }
    throw new CodedError('invalid_argument', 'unexpected end of statement while looking for matching double-quote');
  }

  private variable(): string {
    if (this.word.charAt(this.at) === '{') return this.braced();
    if (!NAME_START.test(this.word.charAt(this.at))) return '$';
    return this.variables.get(this.name()) ?? '';
  }

  private braced(): string {
    this.at += 1;
    const name = this.name();
    if (name === '') throw new CodedError('invalid_argument', `syntax error: bad substitution in ${JSON.stringify(this.word)}`);
    const value = this.variables.get(name);
    let operator = '';
    if (this.word.charAt(this.at) === ':') this.at += 1;
    if (this.word.charAt(this.at) !== '}') operator = this.word.charAt(this.at++);
    const word = this.read('}');
    this.at += 1;
    if (operator === '') return value ?? '';
    if (operator === '-') return value === undefined || value === '' ? word : value;
    if (operator === '+') return value === undefined || value === '' ? '' : word;
    throw new CodedError('invalid_argument', `unsupported modifier (${operator}) in substitution`);
  }

  private name(): string {
    const name = NAME.exec(this.word.slice(this.at))?.[0] ?? '';
    this.at += name.length;
    return name;
  }
}
