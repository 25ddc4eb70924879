import { CodedError } from '#kernel';

/** Characters that stand for themselves, `?` (any one) and `*` (any number). */
type Token = { readonly kind: 'literal'; readonly char: string } | { readonly kind: 'one' } | { readonly kind: 'any' };

/** What one look at a value may cost: patterns and values come from strangers. */
const MAX_STEPS = 2_000_000;

function tokensOf(pattern: string): Token[] {
  const tokens: Token[] = [];
  const chars = Array.from(pattern);
  for (let at = 0; at < chars.length; at += 1) {
    const char = chars[at] ?? '';
    if (char === '*') tokens.push({ kind: 'any' });
    else if (char === '?') tokens.push({ kind: 'one' });
    else {
      if (char === '\\' && at + 1 < chars.length) at += 1;
      tokens.push({ kind: 'literal', char: chars[at] ?? '' });
    }
  }
  return tokens;
}

/** Matches without going back: the cost is the product of the lengths, whatever the stars. */
class Matcher {
  private steps = 0;

  constructor(
    private readonly tokens: readonly Token[],
    private readonly chars: readonly string[],
  ) {}

  /** Every place at which a match that begins at `from` may end. */
  ends(from: number): number[] {
    let places = new Set([from]);
    for (const token of this.tokens) {
      const next = new Set<number>();
      if (token.kind === 'any') for (let place = least(places); place <= this.chars.length; place += 1) next.add(this.step(place));
      else for (const place of places) if (place < this.chars.length && (token.kind === 'one' || token.char === this.chars[place])) next.add(this.step(place + 1));
      if (next.size === 0) return [];
      places = next;
    }
    return [...places];
  }

  private step(place: number): number {
    if ((this.steps += 1) > MAX_STEPS) throw new CodedError('resource_exhausted', 'a pattern in ${…} costs too much');
    return place;
  }
}

/** `#`, `##`: the shortest or longest match at the beginning goes. */
export function withoutPrefix(value: string, pattern: string, greedy: boolean): string {
  const chars = Array.from(value);
  return chars.slice(chosen(new Matcher(tokensOf(pattern), chars).ends(0), greedy)).join('');
}

/** `%`, `%%`: the shortest or longest match at the end. */
export function withoutSuffix(value: string, pattern: string, greedy: boolean): string {
  const chars = Array.from(value).reverse();
  return chars
    .slice(chosen(new Matcher(tokensOf(pattern).reverse(), chars).ends(0), greedy))
    .reverse()
    .join('');
}

/** `/`, `//`: the first longest match, or all from left to right. */
export function replaced(value: string, pattern: string, replacement: string, all: boolean): string {
  const chars = Array.from(value);
  const tokens = tokensOf(pattern);
  const matcher = new Matcher(tokens, chars);
  let result = '';
  let done = tokens.length === 0;
  for (let at = 0; at < chars.length; ) {
    const end = done ? at : chosen(matcher.ends(at), true);
    if (end > at) {
      result += replacement;
      done = !all;
      at = end;
    } else {
      result += chars[at] ?? '';
      at += 1;
    }
  }
  return result;
}

/** Places come in their order. */
function least(places: ReadonlySet<number>): number {
  const [first = 0] = places;
  return first;
}

function chosen(ends: readonly number[], greedy: boolean): number {
  return ends.reduce<number | undefined>((best, end) => (best === undefined || (greedy ? end > best : end < best) ? end : best), undefined) ?? 0;
}
