import { type Fault } from './fault.js';
import { decodeName } from './names.js';

export const SCHILY_XATTR = 'SCHILY.xattr.';
const LIBARCHIVE_XATTR = 'LIBARCHIVE.xattr.';
const NOT_A_KEYWORD = /[%=]/g;

/** The extended attribute that a record carries, if it carries one. The value is a copy. */
export function xattrOf(key: string, value: Buffer, fault: Fault): [name: string, value: Buffer] | undefined {
  let name: string;
  let bytes: Buffer;
  if (key.startsWith(SCHILY_XATTR)) {
    name = unescapeKeyword(key.slice(SCHILY_XATTR.length), /%(3D|25)/g);
    bytes = Buffer.from(value);
  } else if (key.startsWith(LIBARCHIVE_XATTR)) {
    name = unescapeKeyword(key.slice(LIBARCHIVE_XATTR.length), /%([0-9A-Fa-f]{2})/g);
    const text = value.toString('latin1').replace(/\s+$/, '');
    if (!/^[A-Za-z0-9+/]*={0,2}$/.test(text)) throw fault('an extended attribute is not base64');
    bytes = Buffer.from(text, 'base64');
  } else {
    return undefined;
  }
  if (name === '' || name.includes('\0')) throw fault('an extended attribute has no proper name');
  return [decodeName(Buffer.from(name, 'latin1')), bytes];
}

/** `=` ends a keyword, so GNU tar writes it as %3D and, to tell, % as %25. */
export function xattrKey(name: Buffer): string {
  return SCHILY_XATTR + name.toString('latin1').replace(NOT_A_KEYWORD, (character) => (character === '=' ? '%3D' : '%25'));
}

function unescapeKeyword(text: string, pattern: RegExp): string {
  return text.replace(pattern, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
}
