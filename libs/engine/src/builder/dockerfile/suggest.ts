/** The known word that is at most two letters away from what was written, the nearest first. */
export function suggestion(written: string, known: readonly string[]): string | undefined {
  let best: string | undefined;
  let least = Math.min(3, Math.max(2, Math.ceil(written.length / 2) + 1));
  for (const word of known) {
    const away = distance(written, word);
    if (away < least) {
      least = away;
      best = word;
    }
  }
  return best;
}

/** ` (did you mean X?)`, or nothing. */
export function didYouMean(written: string, known: readonly string[]): string {
  const word = suggestion(written, known);
  return word === undefined ? '' : ` (did you mean ${word}?)`;
}

/** Levenshtein's. Words here are short. */
function distance(one: string, other: string): number {
  if (Math.abs(one.length - other.length) > 3) return 4;
  let row = Array.from({ length: other.length + 1 }, (_, index) => index);
  for (let at = 1; at <= one.length; at += 1) {
    const next = [at];
    for (let to = 1; to <= other.length; to += 1) {
      const replaced = (row[to - 1] ?? 0) + (one[at - 1] === other[to - 1] ? 0 : 1);
      next.push(Math.min(replaced, (row[to] ?? 0) + 1, (next[to - 1] ?? 0) + 1));
    }
    row = next;
  }
  return row[other.length] ?? 4;
}
