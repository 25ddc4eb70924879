import { type Fault } from './fault.js';
import { quoteName } from './names.js';

/** GNU's sparse format 0.0 says these once per extent; POSIX gives comments no meaning. Everything else is said once. */
const REPEATABLE = new Set(['GNU.sparse.offset', 'GNU.sparse.numbytes', 'comment']);
const MAX_LENGTH_DIGITS = 10;

/** Keys as byte strings (latin1), values as bytes; in the header's order. */
export type PaxRecord = readonly [key: string, value: Buffer];

/**
 * The records of an extended header: `LENGTH KEY=VALUE\n`, where LENGTH is decimal and counts itself (POSIX pax, "pax Extended Header").
 * POSIX lets the last of two equal keys win; since readers differ, an archive that says a thing twice is refused.
 */
export function parsePaxRecords(body: Buffer, fault: Fault): PaxRecord[] {
  const records: PaxRecord[] = [];
  const seen = new Set<string>();
  for (let at = 0; at < body.length; ) {
    const [length, digits] = recordLength(body, at, fault);
    const end = at + length;
    if (end > body.length) throw fault('an extended header record is longer than its header');
    if (length < digits + 4 || body[end - 1] !== 0x0a) throw fault('an extended header record does not end where its length says');
    const record = body.subarray(at + digits + 1, end - 1);
    const equals = record.indexOf(0x3d);
    if (equals <= 0) throw fault('an extended header record has no keyword');
    const key = record.toString('latin1', 0, equals);
    if (key.includes('\0')) throw fault('an extended header keyword holds NUL');
    if (seen.has(key) && !REPEATABLE.has(key)) throw fault(`an extended header says ${quoteName(key)} twice`);
    seen.add(key);
    records.push([key, record.subarray(equals + 1)]);
    at = end;
  }
  return records;
}

function recordLength(body: Buffer, at: number, fault: Fault): [length: number, digits: number] {
  let length = 0;
  for (let digits = 0; digits <= MAX_LENGTH_DIGITS; digits += 1) {
    const byte = body[at + digits] ?? 0;
    if (byte === 0x20 && digits > 0) return [length, digits];
    if (byte < 0x30 || byte > 0x39) break;
    length = length * 10 + byte - 0x30;
  }
  throw fault('an extended header record has no length');
}

export function formatPaxRecord(key: string, value: Uint8Array): Buffer {
  const rest = Buffer.concat([Buffer.from(` ${key}=`, 'latin1'), value, Buffer.from('\n')]);
  let length = rest.length + 1;
  while (String(length).length + rest.length !== length) length = String(length).length + rest.length;
  return Buffer.concat([Buffer.from(String(length), 'latin1'), rest]);
}
