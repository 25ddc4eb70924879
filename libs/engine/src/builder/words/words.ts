export interface Word {
  /** Quotes and escapes as they were written. */
  readonly text: string;
  /** In the text it was taken from. */
  readonly at: number;
}

/** Splits at white space outside of quotes; an escape character takes the next one as it is. An open quote ends with the text. */
export function splitWords(text: string, escape: string): Word[] {
  return [...wordsFrom(text, 0, escape)];
}

/** As `splitWords`, one after the other from a place on. */
export function* wordsFrom(text: string, from: number, escape: string): Generator<Word, void, undefined> {
  let start = -1;
  let quote = '';
  for (let at = from; at < text.length; at += 1) {
    const char = text[at] ?? '';
    if (quote === '' && /\s/.test(char)) {
      if (start >= 0) yield { text: text.slice(start, at), at: start };
      start = -1;
      continue;
    }
    if (start < 0) start = at;
    if (char === escape && quote !== "'") at += 1;
    else if (quote === '' && (char === '"' || char === "'")) quote = char;
    else if (char === quote) quote = '';
  }
  if (start >= 0) yield { text: text.slice(start), at: start };
}

/** Splits at white space, whatever the quotes say: how the reference reads what is no JSON. */
export function plainWords(text: string): Word[] {
  return [...text.matchAll(/\S+/g)].map((match) => ({ text: match[0], at: match.index }));
}
