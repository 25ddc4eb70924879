import { CodedError } from '#kernel';
import { replaced, withoutPrefix, withoutSuffix } from './shell-pattern.js';
import type { Variables } from './variables.js';

export interface ExpandOptions {
  readonly escape: '\\' | '`';
  readonly variables: Variables;
  /** Quotes mean nothing and stay; variables and escapes are as ever (heredocs of COPY). */
  readonly raw?: boolean;
  /** Told of each variable that has no value, and nothing else to stand for it. */
  readonly onUndefined?: (name: string) => void;
}

/** Of one result, and of all the nesting of `${…}` in it. */
const MAX_BYTES = 1024 * 1024;
const MAX_DEPTH = 32;
const NAME = /^[A-Za-z_][A-Za-z0-9_]*/;
/** `$1`, `$@` … name no variable of a build: they are empty. */
const SPECIAL = /^[0-9@*#?\-$!]/;

/**
 * One word of an instruction: quotes are taken away, variables put in (Dockerfile reference, "Environment replacement").
 * @throws CodedError `invalid_argument`: an open quote or brace, an operator that is none, `${x:?message}`; `resource_exhausted`: it grows beyond 1 MiB
 */
export function expandWord(word: string, options: ExpandOptions): string {
  return new Expansion(word, options).words({ split: false })[0] ?? '';
}

/** As `expandWord`, then split at white space that stood outside of quotes. */
export function expandWords(text: string, options: ExpandOptions): string[] {
  return new Expansion(text, options).words({ split: true });
}

class Expansion {
  private at = 0;
  private depth = 0;

  constructor(
    private readonly text: string,
    private readonly options: ExpandOptions,
  ) {}

  words({ split }: { readonly split: boolean }): string[] {
    const words: string[] = [];
    let word: string | undefined;
    while (this.at < this.text.length) {
      const char = this.text[this.at] ?? '';
      if (split && /\s/.test(char)) {
        if (word !== undefined) words.push(word);
        word = undefined;
        this.at += 1;
      } else if (split && char === '$') {
        // What a variable holds is split as well; its ends join what stands beside it.
        const parts: string[] = this.dollar().split(/\s+/);
        for (const [index, part] of parts.entries()) {
          if (index > 0) {
            if (word !== undefined && word !== '') words.push(word);
            word = undefined;
          }
          if (part !== '') word = `${word ?? ''}${part}`;
        }
      } else word = this.bounded(`${word ?? ''}${this.piece()}`);
    }
    if (word !== undefined) words.push(word);
    return words;
  }

  /** What stands at this place, outside of quotes. */
  private piece(): string {
    const char = this.text[this.at] ?? '';
    if (char === '$') return this.dollar();
    if (char === "'" && this.options.raw !== true) return this.single();
    if (char === '"' && this.options.raw !== true) return this.double();
    if (char !== this.options.escape) return this.take();
    this.at += 1;
    // At the very end it stands for itself.
    return this.at === this.text.length ? char : this.take();
  }

  private single(): string {
    const end = this.text.indexOf("'", this.at + 1);
    if (end < 0) throw broken('unexpected end of statement while looking for matching single-quote');
    const inside = this.text.slice(this.at + 1, end);
    this.at = end + 1;
    return inside;
  }

  private double(): string {
    let inside = '';
    this.at += 1;
    for (;;) {
      const char = this.text[this.at];
      if (char === undefined) throw broken('unexpected end of statement while looking for matching double-quote');
      if (char === '"') break;
      if (char === '$') inside = this.bounded(inside + this.dollar());
      else if (char === this.options.escape) inside += this.escapedInDouble();
      else inside += this.take();
    }
    this.at += 1;
    return inside;
  }

  /** Between double quotes the escape character counts only before what would mean something. */
  private escapedInDouble(): string {
    const { escape } = this.options;
    const next = this.text[this.at + 1];
    this.at += 1;
    if (next === '"' || next === '$' || next === escape) return this.take();
    return escape;
  }

  private dollar(): string {
    this.at += 1;
    if (this.text[this.at] === '{') return this.braces();
    const rest = this.text.slice(this.at);
    const name = NAME.exec(rest)?.[0] ?? SPECIAL.exec(rest)?.[0];
    if (name === undefined) return '$';
    this.at += name.length;
    return this.plain(name, this.valueOf(name));
  }

  private braces(): string {
    if ((this.depth += 1) > MAX_DEPTH) throw broken('too many nested ${…}');
    this.at += 1;
    const rest = this.text.slice(this.at);
    const name = NAME.exec(rest)?.[0] ?? SPECIAL.exec(rest)?.[0];
    if (name === undefined) throw broken('syntax error: bad substitution');
    this.at += name.length;
    const result = this.modified(name, this.valueOf(name));
    this.depth -= 1;
    return this.bounded(result);
  }

  private modified(name: string, value: string | undefined): string {
    const operator = /^(?::[-+?]|[-+?}]|##?|%%?|\/\/?)/.exec(this.text.slice(this.at))?.[0];
    if (operator === undefined) {
      if (this.at >= this.text.length) throw broken("syntax error: missing '}'");
      throw broken(`unsupported modifier (${this.text.slice(this.at, this.at + 2)}) in substitution`);
    }
    this.at += operator.length;
    if (operator === '}') return this.plain(name, value);
    if (operator.startsWith('/')) {
      const pattern = this.until(['/', '}'], { keepEscapes: true });
      const replacement = this.text[this.at - 1] === '/' ? this.until(['}'], { keepEscapes: false }) : '';
      return replaced(value ?? '', pattern, replacement, operator === '//');
    }
    const word = this.until(['}'], { keepEscapes: operator.startsWith('#') || operator.startsWith('%') });
    if (operator.startsWith('#')) return withoutPrefix(value ?? '', word, operator === '##');
    if (operator.startsWith('%')) return withoutSuffix(value ?? '', word, operator === '%%');
    return orElse(operator, name, value, word);
  }

  /** Up to one of the ends, which is passed. Patterns keep their escapes: they mean something to them. */
  private until(ends: readonly string[], { keepEscapes }: { readonly keepEscapes: boolean }): string {
    let inside = '';
    for (;;) {
      const char = this.text[this.at];
      if (char === undefined) throw broken("syntax error: missing '}'");
      if (ends.includes(char)) break;
      if (char === this.options.escape && keepEscapes && this.at + 1 < this.text.length) {
        this.at += 1;
        inside += `\\${this.take()}`;
      } else inside = this.bounded(inside + this.piece());
    }
    this.at += 1;
    return inside;
  }

  private plain(name: string, value: string | undefined): string {
    if (value === undefined && NAME.test(name)) this.options.onUndefined?.(name);
    return value ?? '';
  }

  private valueOf(name: string): string | undefined {
    return NAME.test(name) ? this.options.variables(name) : undefined;
  }

  private take(): string {
    const char = this.text[this.at] ?? '';
    this.at += 1;
    return char;
  }

  private bounded(text: string): string {
    if (text.length > MAX_BYTES) throw new CodedError('resource_exhausted', 'a word grows beyond 1 MiB when its variables are put in');
    return text;
  }
}

/** `-`, `+`, `?`: with a colon an empty value is no value. */
function orElse(operator: string, name: string, value: string | undefined, word: string): string {
  const set = value !== undefined && (value !== '' || !operator.startsWith(':'));
  if (operator.endsWith('+')) return set ? word : '';
  if (set) return value;
  if (operator.endsWith('-')) return word;
  throw broken(`${name}: ${word === '' ? 'not set' : word}`);
}

function broken(message: string): CodedError {
  return new CodedError('invalid_argument', message);
}
