import type { CodedError } from '#kernel';
import { splitWords, wordsFrom, type Word } from '../words/words.js';
import type { Heredoc } from './heredocs.js';
import type { InstructionName } from './instructions.js';
import type { LogicalLine } from './logical-lines.js';
import { fault, type Place } from './place.js';
import { didYouMean } from './suggest.js';

export interface Flag {
  readonly name: string;
  /** undefined: it was given without `=`. */
  readonly value: string | undefined;
  readonly place: Place;
}

/** An instruction's name, its flags and what is left of its line. */
export class Statement {
  readonly flags: readonly Flag[];
  /** Behind the flags, without white space at its ends. */
  readonly rest: string;
  private readonly restAt: number;

  constructor(
    readonly name: InstructionName,
    private readonly line: Pick<LogicalLine, 'text' | 'heredocs' | 'placeOf'>,
    private readonly from: number,
    readonly escape: '\\' | '`',
  ) {
    const flags: Flag[] = [];
    let at = skipSpace(line.text, from);
    while (line.text.startsWith('--', at)) {
      const [word] = wordsFrom(line.text, at, escape);
      const text = word?.text ?? '--';
      // A lone `--` ends the flags.
      if (text === '--') {
        at = skipSpace(line.text, at + 2);
        break;
      }
      const mark = text.indexOf('=');
      flags.push({ name: text.slice(2, mark < 0 ? undefined : mark), value: mark < 0 ? undefined : unquoted(text.slice(mark + 1)), place: line.placeOf(at) });
      at = skipSpace(line.text, at + text.length);
    }
    this.flags = flags;
    this.restAt = at;
    this.rest = line.text.slice(at).trimEnd();
  }

  get text(): string {
    return this.line.text.trim();
  }

  get heredocs(): readonly Heredoc[] {
    return this.line.heredocs;
  }

  get place(): Place {
    return this.line.placeOf(Math.max(0, this.from - this.name.length));
  }

  words(): Word[] {
    return splitWords(this.rest, this.escape);
  }

  /** Of a character of `rest`. */
  placeOf(at: number): Place {
    return this.line.placeOf(this.restAt + at);
  }

  /** @throws CodedError `invalid_argument` for a flag that the instruction does not know, or that comes twice though it may not */
  expectFlags(known: readonly string[], { repeated = [] }: { readonly repeated?: readonly string[] } = {}): void {
    const seen = new Set<string>();
    for (const { name, place } of this.flags) {
      if (!known.includes(name)) throw fault(place, `unknown flag: --${name.slice(0, 100)}${didYouMean(name, known)}`);
      if (seen.has(name) && !repeated.includes(name)) throw fault(place, `duplicate flag specified: --${name}`);
      seen.add(name);
    }
  }

  /** @throws CodedError `invalid_argument` when the flag has no value */
  flag(name: string): string | undefined {
    const flag = this.flags.find((each) => each.name === name);
    if (flag !== undefined && flag.value === undefined) throw fault(flag.place, `missing a value on flag: --${name}`);
    return flag?.value;
  }

  flagPlace(name: string): Place {
    return this.flags.find((each) => each.name === name)?.place ?? this.place;
  }

  /** `--link`, `--link=true`, `--link=false`. */
  toggle(name: string): boolean | undefined {
    const flag = this.flags.find((each) => each.name === name);
    if (flag === undefined) return undefined;
    const value = (flag.value ?? 'true').toLowerCase();
    if (value !== 'true' && value !== 'false') throw fault(flag.place, `expecting boolean value for flag ${name}, not: ${value.slice(0, 100)}`);
    return value === 'true';
  }

  refuse(message: string, at = 0): CodedError {
    return fault(this.placeOf(at), message);
  }

  /** @throws CodedError `invalid_argument` when nothing stands behind the instruction */
  requireArguments(): void {
    if (this.rest === '') throw fault(this.place, `${this.name} requires at least one argument`);
  }

  requireOne(): string {
    const words = this.words();
    if (words.length !== 1) throw fault(words[1] === undefined ? this.place : this.placeOf(words[1].at), `${this.name} requires exactly one argument`);
    return words[0]?.text ?? '';
  }
}

function skipSpace(text: string, from: number): number {
  let at = from;
  while (at < text.length && /\s/.test(text[at] ?? '')) at += 1;
  return at;
}

function unquoted(text: string): string {
  const match = /^(["'])(.*)\1$/s.exec(text);
  return match?.[2] ?? text;
}
