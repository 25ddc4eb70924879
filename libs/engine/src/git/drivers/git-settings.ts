import { CodedError } from '#kernel';
import { decodeName } from '../../tar/index.js';

export interface GitSetting {
  /** Its first part in lower case, what stood in quotes behind a point as it is: `submodule.libs/Zlib`. */
  readonly section: string;
  /** In lower case. */
  readonly key: string;
  /** undefined: the key stands alone. */
  readonly value: string | undefined;
}

const BYTE_ORDER_MARK = '\u00ef\u00bb\u00bf';
const HEADING = /\[(?!\])([A-Za-z0-9.-]*)(?:[ \t\r]+"((?:[^"\\\n]|\\[^\n])*)")?\]/y;
const KEY = /([A-Za-z][A-Za-z0-9-]*)[ \t]*/y;
const ESCAPES: Readonly<Record<string, string>> = { '"': '"', '\\': '\\', n: '\n', t: '\t', b: '\b', '\n': '' };

/** The settings of a file in the order that they stand in (git-config(1), "Syntax"). @throws CodedError `invalid_argument`, with the line */
export function gitSettings(bytes: Buffer): Generator<GitSetting, void, undefined> {
  const text = bytes.toString('latin1');
  return new SettingsReader((text.startsWith(BYTE_ORDER_MARK) ? text.slice(BYTE_ORDER_MARK.length) : text).replaceAll('\r\n', '\n')).all();
}

/** Reads bytes as characters: only what is whole again is decoded. */
class SettingsReader {
  private at = 0;

  constructor(private readonly text: string) {
    if (text.includes('\0')) throw this.fault(text.indexOf('\0'));
  }

  *all(): Generator<GitSetting, void, undefined> {
    let section = '';
    for (let char = this.next(); char !== undefined; char = this.next()) {
      if (char === '[') section = this.heading();
      else yield { section, ...this.setting() };
    }
  }

  /** The first character that is neither blank nor of a comment; undefined: there is none. */
  private next(): string | undefined {
    for (;;) {
      const char = this.text[this.at];
      if (char === '#' || char === ';') this.at = this.endOfLine();
      else if (isBlank(char) || char === '\n') this.at += 1;
      else return char;
    }
  }

  private heading(): string {
    const [, name = '', quoted] = this.take(HEADING);
    return decoded(name.toLowerCase() + (quoted === undefined ? '' : `.${quoted.replaceAll(/\\(.)/gs, '$1')}`));
  }

  private setting(): Omit<GitSetting, 'section'> {
    const key = (this.take(KEY)[1] ?? '').toLowerCase();
    const char = this.text[this.at];
    if (char === undefined || char === '\n') return { key, value: undefined };
    if (char !== '=') throw this.fault();
    this.at += 1;
    return { key, value: decoded(this.value()) };
  }

  /** To the end of its line, blanks at both ends left out where they are not in quotes. */
  private value(): string {
    const start = this.at;
    let [value, length, quoted] = ['', 0, false];
    for (;;) {
      const char = this.text[this.at];
      if (char === undefined || char === '\n') {
        if (quoted) throw this.fault(start);
        return value.slice(0, length);
      }
      this.at += 1;
      if (!quoted && (char === '#' || char === ';')) this.at = this.endOfLine();
      else if (!quoted && isBlank(char)) value += value === '' ? '' : char;
      else if (char === '"') quoted = !quoted;
      else {
        value += char === '\\' ? this.escaped() : char;
        length = value.length;
      }
    }
  }

  private escaped(): string {
    const char = ESCAPES[this.text[this.at] ?? '\n'];
    if (char === undefined) throw this.fault();
    this.at += 1;
    return char;
  }

  private take(pattern: RegExp): RegExpExecArray {
    pattern.lastIndex = this.at;
    const found = pattern.exec(this.text);
    if (found === null) throw this.fault();
    this.at += found[0].length;
    return found;
  }

  private endOfLine(): number {
    const end = this.text.indexOf('\n', this.at);
    return end < 0 ? this.text.length : end;
  }

  private fault(at = this.at): CodedError {
    return new CodedError('invalid_argument', `bad config line ${this.text.slice(0, at).split('\n').length}`);
  }
}

function isBlank(char: string | undefined): boolean {
  return char === ' ' || char === '\t' || char === '\r';
}

function decoded(text: string): string {
  return decodeName(Buffer.from(text, 'latin1'));
}
