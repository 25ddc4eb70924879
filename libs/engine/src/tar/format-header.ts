import { isUtf8 } from 'node:buffer';
import { paddingOf } from './blocks.js';
import { type Fault } from './fault.js';
import { formatHeaderBlock } from './header-block.js';
import { encodeName } from './names.js';
import { formatPaxRecord } from './pax-records.js';
import { DEFAULT_TAR_LIMITS, MAX_TAR_ID, type TarEntryInput, type TarEntryType } from './tar.js';
import { xattrKey } from './xattr-records.js';

const TYPEFLAGS: Readonly<Record<TarEntryType, string>> = {
  file: '0',
  hardlink: '1',
  symlink: '2',
  char: '3',
  block: '4',
  directory: '5',
  fifo: '6',
};
const NS_PER_SECOND = 1_000_000_000n;
const SLASH = 0x2f;
const NAME_BYTES = 100;
const PREFIX_BYTES = 155;
const EMPTY = Buffer.alloc(0);

/** The blocks before an entry's body: its ustar header, behind an extended one when ustar cannot say it all. */
export function formatHeader(entry: TarEntryInput, fault: Fault): Buffer {
  const pax = new Map<string, Uint8Array>();
  const path = pathBytes(entry, fault);
  const place = splitPath(path);
  if (place === undefined) pax.set('path', path);
  const linkname = linknameBytes(entry, fault);
  if (linkname.length > NAME_BYTES) pax.set('linkpath', linkname);
  const number = (key: string, value: number, most: number, digits: number): number => {
    if (!Number.isInteger(value) || value < 0 || value > most) throw fault(`its ${key} is out of range`);
    if (value < 8 ** digits) return value;
    pax.set(key, Buffer.from(String(value)));
    return 0;
  };
  const device = entry.type === 'char' || entry.type === 'block';
  const header = formatHeaderBlock({
    name: place?.name ?? shortName(path),
    prefix: place?.prefix ?? EMPTY,
    mode: number('mode', entry.mode, 0o7777, 7),
    uid: number('uid', entry.uid, MAX_TAR_ID, 7),
    gid: number('gid', entry.gid, MAX_TAR_ID, 7),
    size: number('size', entry.size ?? 0, DEFAULT_TAR_LIMITS.maxEntryBytes, 11),
    mtimeSeconds: mtimeSeconds(entry.mtimeNs, pax, fault),
    typeflag: TYPEFLAGS[entry.type],
    linkname: linkname.subarray(0, NAME_BYTES),
    devmajor: device ? number('SCHILY.devmajor', entry.devmajor ?? 0, MAX_TAR_ID, 7) : 0,
    devminor: device ? number('SCHILY.devminor', entry.devminor ?? 0, MAX_TAR_ID, 7) : 0,
  });
  addXattrs(entry, pax, fault);
  return pax.size === 0 ? header : Buffer.concat([formatExtended(pax, path, fault), header]);
}

/** A directory's path ends in a slash in every archive; a file's must not, or readers take it for a directory. */
function pathBytes({ path, type }: TarEntryInput, fault: Fault): Buffer {
  if (type === 'file' && path.endsWith('/')) throw fault('it is a file whose path ends like a directory’s');
  return nameBytes(type === 'directory' && path !== '' && !path.endsWith('/') ? `${path}/` : path, 'path', fault);
}

function linknameBytes({ type, linkname = '' }: TarEntryInput, fault: Fault): Buffer {
  return type === 'symlink' || type === 'hardlink' ? nameBytes(linkname, 'link name', fault) : EMPTY;
}

function nameBytes(name: string, what: string, fault: Fault): Buffer {
  const bytes = encodeName(name);
  if (bytes.length === 0) throw fault(`its ${what} is empty`);
  if (bytes.length > DEFAULT_TAR_LIMITS.maxPathBytes) throw fault(`its ${what} is longer than ${DEFAULT_TAR_LIMITS.maxPathBytes} bytes`);
  if (bytes.includes(0)) throw fault(`its ${what} holds NUL`);
  return bytes;
}

/** The path in the name field, or cut at a slash over prefix and name: at the last that leaves the prefix in its bounds. */
function splitPath(path: Buffer): { name: Buffer; prefix: Buffer } | undefined {
  if (path.length <= NAME_BYTES) return { name: path, prefix: EMPTY };
  // Not at a closing slash: the name would be empty.
  const cut = path.lastIndexOf(SLASH, Math.min(PREFIX_BYTES, path.length - 2));
  if (cut <= 0 || path.length - cut - 1 > NAME_BYTES) return undefined;
  return { name: path.subarray(cut + 1), prefix: path.subarray(0, cut) };
}

/** For readers that know no extended headers. */
function shortName(path: Buffer): Buffer {
  let end = Math.min(NAME_BYTES, path.length);
  while (end > 1 && path[end - 1] === SLASH) end -= 1;
  return path.subarray(0, end);
}

function mtimeSeconds(mtimeNs: bigint, pax: Map<string, Uint8Array>, fault: Fault): number {
  const magnitude = mtimeNs < 0n ? -mtimeNs : mtimeNs;
  const seconds = magnitude / NS_PER_SECOND;
  const fraction = (magnitude % NS_PER_SECOND).toString().padStart(9, '0').replace(/0+$/, '');
  if (seconds > BigInt(Number.MAX_SAFE_INTEGER)) throw fault('its mtime is out of range');
  if (mtimeNs >= 0n && fraction === '' && seconds < 8n ** 11n) return Number(seconds);
  pax.set('mtime', Buffer.from(`${mtimeNs < 0n ? '-' : ''}${seconds.toString()}${fraction === '' ? '' : '.'}${fraction}`));
  return mtimeNs >= 0n && seconds < 8n ** 11n ? Number(seconds) : 0;
}

function addXattrs({ xattrs }: TarEntryInput, pax: Map<string, Uint8Array>, fault: Fault): void {
  if (xattrs === undefined) return;
  const named = Array.from(xattrs, ([name, value]) => ({ name: encodeName(name), value }));
  named.sort((a, b) => Buffer.compare(a.name, b.name));
  for (const { name, value } of named) {
    if (name.length === 0 || name.includes(0)) throw fault('an extended attribute has no proper name');
    pax.set(xattrKey(name), value);
  }
}

function formatExtended(pax: ReadonlyMap<string, Uint8Array>, path: Buffer, fault: Fault): Buffer {
  const records: Buffer[] = [];
  // Values of the standard keywords are UTF-8 unless this says that they are bytes; it stands before them.
  if ([pax.get('path'), pax.get('linkpath')].some((value) => value !== undefined && !isUtf8(value))) {
    records.push(formatPaxRecord('hdrcharset', Buffer.from('BINARY')));
  }
  for (const [key, value] of pax) records.push(formatPaxRecord(key, value));
  const body = Buffer.concat(records);
  if (body.length > DEFAULT_TAR_LIMITS.maxHeaderBytes) throw fault(`its extended header is longer than ${DEFAULT_TAR_LIMITS.maxHeaderBytes} bytes`);
  const header = formatHeaderBlock({
    name: shortName(Buffer.concat([Buffer.from('PaxHeaders/'), path.subarray(path.lastIndexOf(SLASH, -2) + 1)])),
    prefix: EMPTY,
    mode: 0o644,
    uid: 0,
    gid: 0,
    size: body.length,
    mtimeSeconds: 0,
    typeflag: 'x',
    linkname: EMPTY,
    devmajor: 0,
    devminor: 0,
  });
  return Buffer.concat([header, body, Buffer.alloc(paddingOf(body.length))]);
}
