import type { Word } from '../words/words.js';
import type { Arg, Env, KeyValue, Label } from './instructions.js';
import type { Statement } from './statement.js';

export function parseArg(statement: Statement): Arg {
  statement.expectFlags([]);
  statement.requireArguments();
  const args = statement.words().map(({ text, at }) => {
    const mark = text.indexOf('=');
    const key = mark < 0 ? text : text.slice(0, mark);
    if (key === '') throw statement.refuse('ARG names can not be blank', at);
    return { key, value: mark < 0 ? undefined : text.slice(mark + 1) };
  });
  return { kind: 'ARG', ...head(statement), args };
}

export function parseEnv(statement: Statement): Env {
  statement.expectFlags([]);
  return { kind: 'ENV', ...head(statement), pairs: pairsOf(statement) };
}

export function parseLabel(statement: Statement): Label {
  statement.expectFlags([]);
  return { kind: 'LABEL', ...head(statement), pairs: pairsOf(statement) };
}

export function head({ place, text }: Statement): { readonly place: Statement['place']; readonly text: string } {
  return { place, text };
}

/** `a=b c="d e"`, or the old form: a key and everything behind it. Values keep their quotes. */
function pairsOf(statement: Statement): KeyValue[] {
  statement.requireArguments();
  const words = statement.words();
  const [first] = words;
  if (first === undefined) return [];
  if (!first.text.includes('=')) return [oldForm(statement, first)];
  return words.map(({ text, at }) => {
    const mark = text.indexOf('=');
    if (mark < 0) throw statement.refuse(`can't find = in ${JSON.stringify(text.slice(0, 100))}. Must be of the form: name=value`, at);
    if (mark === 0) throw statement.refuse(`${statement.name} names can not be blank`, at);
    return { key: text.slice(0, mark), value: text.slice(mark + 1) };
  });
}

function oldForm(statement: Statement, { text, at }: Word): KeyValue {
  const value = statement.rest.slice(at + text.length).trim();
  if (value === '') throw statement.refuse(`${statement.name} must have two arguments`, at);
  return { key: text, value };
}
