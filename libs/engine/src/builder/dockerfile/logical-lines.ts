import type { Directives } from './directives.js';
import { heredocLine, heredocMarks, type Heredoc } from './heredocs.js';
import { fault, type Place } from './place.js';

/** One instruction as it is read: continued lines are joined, comments and empty lines between them are gone. */
export interface LogicalLine {
  readonly text: string;
  readonly endLine: number;
  readonly heredocs: readonly Heredoc[];
  /** The line before it, when that is a comment: without its mark. */
  readonly comment: string | undefined;
  /** Of a character of `text`. */
  placeOf(at: number): Place;
}

interface Piece {
  /** In the joined text. */
  readonly at: number;
  readonly line: number;
  readonly column: number;
}

/** What is no fault, and likely not what was meant. */
export interface LineNote {
  readonly rule: 'NoEmptyContinuation' | 'InvalidDefinitionDescription';
  readonly place: Place;
  readonly text: string;
}

const COMMENT = /^[ \t]*#/;
const EMPTY = /^[ \t\r]*$/;

/** Joins lines by the reference's rules. @throws CodedError `invalid_argument`: a heredoc without its end */
export class LogicalLines {
  readonly notes: LineNote[] = [];
  private readonly continuation: RegExp;
  private at = 0;

  constructor(
    private readonly lines: readonly string[],
    private readonly escape: Directives['escape'],
  ) {
    const quoted = escape === '\\' ? '\\\\' : '`';
    // An escape character that is itself escaped continues nothing.
    this.continuation = new RegExp(`([^${quoted}])${quoted}[ \\t]*$|^${quoted}[ \\t]*$`);
  }

  *read(): Generator<LogicalLine, void, undefined> {
    let comment: string | undefined;
    while (this.at < this.lines.length) {
      const line = this.lines[this.at] ?? '';
      const isComment = COMMENT.test(line);
      if (EMPTY.test(line) || isComment) {
        comment = isComment ? line.replace(COMMENT, '').trim() : undefined;
        this.at += 1;
      } else {
        yield this.instruction(comment);
        comment = undefined;
      }
    }
  }

  private instruction(comment: string | undefined): LogicalLine {
    const pieces: Piece[] = [];
    let text = '';
    let continued = true;
    for (let first = true; continued && this.at < this.lines.length; this.at += 1) {
      const line = this.lines[this.at] ?? '';
      if (!first && COMMENT.test(line)) continue;
      if (!first && EMPTY.test(line)) {
        this.notes.push({ rule: 'NoEmptyContinuation', place: { line: this.at + 1, column: 1 }, text: 'Empty continuation line' });
        continue;
      }
      const indent = first ? line.length - line.trimStart().length : 0;
      const body = line.slice(indent);
      pieces.push({ at: text.length, line: this.at + 1, column: indent + 1 });
      continued = this.continuation.test(body);
      text += continued ? body.replace(this.continuation, '$1') : body.trimEnd();
      first = false;
    }
    return { text, comment, heredocs: this.heredocs(text, pieces), endLine: this.at, placeOf: (at) => placeOf(pieces, at) };
  }

  private heredocs(text: string, pieces: readonly Piece[]): Heredoc[] {
    return heredocMarks(text, this.escape).map(({ at, ...mark }) => {
      const content: string[] = [];
      for (; this.at < this.lines.length; this.at += 1) {
        const line = heredocLine(mark, this.lines[this.at] ?? '');
        if (line === mark.name) {
          this.at += 1;
          return { ...mark, content: content.map((each) => `${each}\n`).join('') };
        }
        content.push(line);
      }
      throw fault(placeOf(pieces, at), `unterminated heredoc: the line "${mark.name.slice(0, 100)}" is missing`);
    });
  }
}

function placeOf(pieces: readonly Piece[], at: number): Place {
  const piece = pieces.findLast((each) => each.at <= at) ?? pieces[0];
  if (piece === undefined) return { line: 1, column: 1 };
  return { line: piece.line, column: piece.column + at - piece.at };
}
