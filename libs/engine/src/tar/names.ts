import { isUtf8 } from 'node:buffer';
import { CodedError } from '#kernel';

const ESCAPE_BASE = 0xdc00;

/** Bytes as a string that `encodeName` turns back into the same bytes, whatever they are. */
export function decodeName(bytes: Buffer): string {
  if (isUtf8(bytes)) return bytes.toString('utf8');
  const parts: string[] = [];
  for (let at = 0; at < bytes.length; ) {
    const lead = bytes[at] ?? 0;
    const length = lead < 0x80 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
    const sequence = bytes.subarray(at, at + length);
    const whole = isUtf8(sequence);
    parts.push(whole ? sequence.toString('utf8') : String.fromCharCode(ESCAPE_BASE + lead));
    at += whole ? length : 1;
  }
  return parts.join('');
}

/** @throws CodedError `invalid_argument` for a string that no bytes decode to. */
export function encodeName(name: string): Buffer {
  if (name.isWellFormed()) return Buffer.from(name, 'utf8');
  const parts: Buffer[] = [];
  let at = 0;
  for (const match of name.matchAll(/[\ud800-\udfff]/gu)) {
    parts.push(Buffer.from(name.slice(at, match.index), 'utf8'), Buffer.of((match[0].charCodeAt(0) - ESCAPE_BASE) & 0xff));
    at = match.index + 1;
  }
  parts.push(Buffer.from(name.slice(at), 'utf8'));
  const bytes = Buffer.concat(parts);
  if (decodeName(bytes) !== name) throw new CodedError('invalid_argument', `a name holds surrogates that stand for no bytes: ${quoteName(name)}`);
  return bytes;
}

/** For messages: printable, and short however long the name is. */
export function quoteName(name: string): string {
  return JSON.stringify(name.length > 80 ? `${name.slice(0, 80)}…` : name);
}
