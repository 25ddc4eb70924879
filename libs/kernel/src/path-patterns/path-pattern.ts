import { CodedError } from '../errors.js';

/** One character of a name, or any number of them. */
type Token = { readonly kind: 'any' } | { readonly kind: 'char'; readonly accepts: (char: string) => boolean };

/** A pattern of paths: `*`, `?`, `[a-z]`, `[^a]`, `\x` within a name (Go's filepath.Match), and `**` for any number of names. */
export class PathPattern {
  private readonly names: readonly (readonly Token[] | '**')[];

  /** @throws CodedError `invalid_argument` (`syntax error in pattern`) */
  constructor(readonly text: string) {
    this.names = text.split('/').map((name) => (name === '**' ? name : tokensOf(name.replaceAll('**', '*'))));
  }

  /** No character of it means more than itself. */
  static isLiteral(text: string): boolean {
    return !/[*?[\\]/.test(text);
  }

  /** The whole path, which is relative and clean. Costs the product of the lengths at most. */
  matches(path: string): boolean {
    return matchNames(this.names, path === '' ? [] : path.split('/'));
  }

  /** The path, or a folder above it. */
  matchesOrParent(path: string): boolean {
    const names = path.split('/');
    return names.some((_, index) => matchNames(this.names, names.slice(0, index + 1)));
  }

  /** Something below the folder may match. */
  mayMatchBelow(folder: string): boolean {
    const names = folder === '' ? [] : folder.split('/');
    for (const [index, name] of names.entries()) {
      const wanted = this.names[index];
      if (wanted === '**') return true;
      if (wanted === undefined || !matchName(wanted, name)) return false;
    }
    return this.names.length > names.length;
  }
}

function tokensOf(pattern: string): Token[] {
  const chars = Array.from(pattern);
  const tokens: Token[] = [];
  for (let at = 0; at < chars.length; at += 1) {
    const char = chars[at] ?? '';
    if (char === '*') tokens.push({ kind: 'any' });
    else if (char === '?') tokens.push({ kind: 'char', accepts: () => true });
    else if (char === '[') {
      const { accepts, end } = classOf(chars, at + 1, pattern);
      tokens.push({ kind: 'char', accepts });
      at = end;
    } else {
      if (char === '\\') at += 1;
      const literal = chars[at];
      if (literal === undefined) throw syntaxError(pattern);
      tokens.push({ kind: 'char', accepts: (each) => each === literal });
    }
  }
  return tokens;
}

/** `[^a-z0]`. `end`: of the closing bracket. */
function classOf(chars: readonly string[], from: number, pattern: string): { readonly accepts: (char: string) => boolean; readonly end: number } {
  const negated = chars[from] === '^';
  const ranges: { readonly low: string; readonly high: string }[] = [];
  let at = negated ? from + 1 : from;
  const take = (): string => {
    if (chars[at] === '\\') at += 1;
    const char = chars[at];
    if (char === undefined || char === '-') throw syntaxError(pattern);
    at += 1;
    return char;
  };
  for (; chars[at] !== ']' || ranges.length === 0; ) {
    const low = take();
    if (chars[at] !== '-') {
      ranges.push({ low, high: low });
      continue;
    }
    at += 1;
    ranges.push({ low, high: take() });
  }
  return { accepts: (char) => ranges.some(({ low, high }) => low <= char && char <= high) !== negated, end: at };
}

function syntaxError(pattern: string): CodedError {
  return new CodedError('invalid_argument', `syntax error in pattern: ${JSON.stringify(pattern.slice(0, 200))}`);
}

function matchNames(wanted: readonly (readonly Token[] | '**')[], names: readonly string[]): boolean {
  // Which numbers of names the patterns so far can have taken.
  let taken = new Set([0]);
  for (const [index, each] of wanted.entries()) {
    const next = new Set<number>();
    // At the end it means what is in the folder, not the folder.
    const least = index > 0 && index === wanted.length - 1 ? 1 : 0;
    if (each === '**') for (let [count = 0] = taken, at = count + least; at <= names.length; at += 1) next.add(at);
    else {
      for (const count of taken) {
        const name = names[count];
        if (name !== undefined && matchName(each, name)) next.add(count + 1);
      }
    }
    if (next.size === 0) return false;
    taken = next;
  }
  return taken.has(names.length);
}

function matchName(tokens: readonly Token[], name: string): boolean {
  const chars = Array.from(name);
  let token = 0;
  let at = 0;
  let star = -1;
  let mark = 0;
  // Only the last star needs to be tried again: what an earlier one could take more, this one can too.
  while (at < chars.length) {
    const wanted = tokens[token];
    if (wanted?.kind === 'char' && wanted.accepts(chars[at] ?? '')) {
      token += 1;
      at += 1;
    } else if (wanted?.kind === 'any') {
      star = token;
      mark = at;
      token += 1;
    } else if (star >= 0) {
      mark += 1;
      at = mark;
      token = star + 1;
    } else return false;
  }
  while (tokens[token]?.kind === 'any') token += 1;
  return token === tokens.length;
}
