import { splitWords } from '../words/words.js';

/** A document that follows its instruction (`RUN <<EOF`). */
export interface Heredoc {
  readonly name: string;
  /** As written in front of `<<`; '' when nothing was. */
  readonly descriptor: string;
  /** False when its name was quoted: then nothing in it is expanded. */
  readonly expand: boolean;
  /** `<<-`: tabs at the beginning of each line were taken away. */
  readonly chomp: boolean;
  readonly content: string;
}

export type HeredocMark = Omit<Heredoc, 'content'> & { /** Of the mark in the instruction's text. */ readonly at: number };

/** Instructions that may have some. */
const TAKERS = /^(?:ADD|COPY|RUN)[ \t]/i;
const MARK = /^([0-9]*)<<(-?)(?:"([^"<>\s]+)"|'([^'<>\s]+)'|([^\s"'<>|&;()]+))$/;

/** The marks in an instruction's text, in order. What stands in quotes is none. */
export function heredocMarks(text: string, escape: string): HeredocMark[] {
  const instruction = /^ONBUILD[ \t]+(.*)$/is.exec(text)?.[1] ?? text;
  if (!TAKERS.test(instruction) || !text.includes('<<')) return [];
  return splitWords(text, escape).flatMap(({ text: word, at }) => {
    const match = MARK.exec(word);
    if (match === null) return [];
    const [, descriptor = '', dash, double, single, bare] = match;
    return [{ name: double ?? single ?? bare ?? '', descriptor, chomp: dash === '-', expand: bare !== undefined, at }];
  });
}

/** Where a document's lines begin, and how each of them reads. */
export function heredocLine({ chomp }: Pick<Heredoc, 'chomp'>, line: string): string {
  return chomp ? line.replace(/^\t+/, '') : line;
}
