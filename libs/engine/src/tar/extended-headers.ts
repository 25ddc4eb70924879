import { type Fault } from './fault.js';
import { decodeName } from './names.js';
import { type PaxRecord, parsePaxRecords } from './pax-records.js';
import { xattrOf } from './xattr-records.js';

/** Said once, they cost every entry: a comment and a few attributes fit. */
const MAX_GLOBAL_BYTES = 16_384;
/** What one entry alone may say: said for all entries, implementations differ on what it means. */
const NEVER_GLOBAL = /^(path|linkpath|size|GNU\.sparse\..*)$/;

/** What stands before an entry's own header: GNU's long names, its extended header, and the global ones so far. */
export class ExtendedHeaders {
  readonly #global = new Map<string, Buffer>();
  #globalXattrs: ReadonlyMap<string, Buffer> = new Map();
  #records: readonly PaxRecord[] | undefined;
  #local = new Map<string, Buffer>();
  #longName: Buffer | undefined;
  #longLink: Buffer | undefined;

  constructor(
    private readonly maxHeaderBytes: number,
    private readonly fault: Fault,
  ) {}

  /** Whether headers wait for their entry. */
  get pending(): boolean {
    return this.#records !== undefined || this.#longName !== undefined || this.#longLink !== undefined;
  }

  /** The entry's own records, in order. */
  get records(): readonly PaxRecord[] {
    return this.#records ?? [];
  }

  addLocal(body: Buffer): void {
    if (this.#records !== undefined) throw this.fault('it has two extended headers');
    this.#records = parsePaxRecords(body, this.fault);
    this.#local = new Map(this.#records);
  }

  /** An empty value takes back what an earlier global header said. */
  addGlobal(body: Buffer): void {
    for (const [key, value] of parsePaxRecords(body, this.fault)) {
      if (NEVER_GLOBAL.test(key)) throw this.fault(`a global header sets the ${key} of all entries`);
      if (value.length === 0) this.#global.delete(key);
      else this.#global.set(key, Buffer.from(value));
    }
    let standing = 0;
    for (const [key, value] of this.#global) standing += key.length + value.length;
    const most = Math.min(this.maxHeaderBytes, MAX_GLOBAL_BYTES);
    if (standing > most) throw this.fault(`global headers hold more than ${most} bytes`);
    const xattrs = new Map<string, Buffer>();
    for (const [key, value] of this.#global) this.#addXattr(xattrs, key, value);
    this.#globalXattrs = xattrs;
  }

  addLong(typeflag: 'L' | 'K', body: Buffer): void {
    const end = body.indexOf(0);
    const name = end < 0 ? body : body.subarray(0, end);
    if (body.subarray(name.length).some((byte) => byte !== 0)) throw this.fault('a long name goes on after its NUL');
    if ((typeflag === 'L' ? this.#longName : this.#longLink) !== undefined) throw this.fault('it has two long names');
    if (typeflag === 'L') this.#longName = name;
    else this.#longLink = name;
  }

  /** Forgets everything but the global headers. */
  reset(): void {
    if (this.#records !== undefined) this.#local = new Map();
    this.#records = undefined;
    this.#longName = undefined;
    this.#longLink = undefined;
  }

  /** A record's bytes. An empty one says that the header block's own field counts, not a global header's. */
  value(key: string): Buffer | undefined {
    const value = this.#local.get(key) ?? this.#global.get(key);
    return value === undefined || value.length === 0 ? undefined : value;
  }

  path(inBlock: string): string {
    return this.#name('GNU.sparse.name', 'path') ?? (this.#longName === undefined ? inBlock : decodeName(this.#longName));
  }

  linkname(inBlock: string): string {
    return this.#name('linkpath') ?? (this.#longLink === undefined ? inBlock : decodeName(this.#longLink));
  }

  text(key: string, inBlock: string): string {
    return this.#name(key) ?? inBlock;
  }

  /** A decimal of 0 and more. */
  number(key: string): number | undefined {
    const value = this.value(key);
    return value === undefined ? undefined : parseDecimal(value.toString('latin1', 0, 40), key, this.fault);
  }

  /** A time in seconds with a fraction of any length; finer than a nanosecond is rounded down. */
  nanoseconds(key: string): bigint | undefined {
    const value = this.value(key);
    if (value === undefined) return undefined;
    const match = /^(-?)([0-9]{1,16})(?:\.([0-9]*))?$/.exec(value.toString('latin1', 0, 128));
    if (match === null || value.length > 128) throw this.fault(`its ${key} is not a time`);
    const [, sign, seconds = '', fraction = ''] = match;
    if (!Number.isSafeInteger(Number(seconds))) throw this.fault(`its ${key} is out of range`);
    const magnitude = BigInt(seconds) * 1_000_000_000n + BigInt(fraction.slice(0, 9).padEnd(9, '0'));
    if (sign === '') return magnitude;
    return -magnitude - (/[1-9]/.test(fraction.slice(9)) ? 1n : 0n);
  }

  /** By name. An attribute in two notations is one attribute, if they agree. */
  xattrs(): ReadonlyMap<string, Buffer> {
    if (this.#local.size === 0) return this.#globalXattrs;
    const xattrs = new Map(this.#globalXattrs);
    const local = new Map<string, Buffer>();
    for (const [key, value] of this.#local) this.#addXattr(local, key, value);
    for (const [name, value] of local) xattrs.set(name, value);
    return xattrs;
  }

  #addXattr(xattrs: Map<string, Buffer>, key: string, value: Buffer): void {
    const xattr = xattrOf(key, value, this.fault);
    if (xattr === undefined) return;
    const [name, bytes] = xattr;
    const known = xattrs.get(name);
    if (known !== undefined && !known.equals(bytes)) throw this.fault('it gives an extended attribute two values');
    xattrs.set(name, bytes);
  }

  #name(...keys: string[]): string | undefined {
    for (const key of keys) {
      const value = this.value(key);
      if (value !== undefined) return decodeName(value);
    }
    return undefined;
  }
}

/** Digits alone: no sign, blank or fraction. */
export function parseDecimal(text: string, what: string, fault: Fault): number {
  if (!/^[0-9]{1,16}$/.test(text)) throw fault(`its ${what} is not a number`);
  const value = Number(text);
  if (!Number.isSafeInteger(value)) throw fault(`its ${what} is out of range`);
  return value;
}
