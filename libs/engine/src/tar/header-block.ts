import { BLOCK_BYTES } from './blocks.js';
import { type Fault } from './fault.js';
import { decodeName } from './names.js';

/** The fields of one header block, POSIX.1-1988 ustar with GNU's and star's dialects told apart. Places are [offset, length]. */
const NAME = [0, 100] as const;
const MODE = [100, 8] as const;
const UID = [108, 8] as const;
const GID = [116, 8] as const;
const SIZE = [124, 12] as const;
const MTIME = [136, 12] as const;
const CHECKSUM = [148, 8] as const;
const TYPE = 156;
const LINKNAME = [157, 100] as const;
const MAGIC = [257, 8] as const;
const UNAME = [265, 32] as const;
const GNAME = [297, 32] as const;
const DEVMAJOR = [329, 8] as const;
const DEVMINOR = [337, 8] as const;
const PREFIX = [345, 155] as const;
/** star keeps access and change times in the last 24 bytes of the prefix. */
const STAR_PREFIX = [345, 131] as const;

export type TarDialect = 'v7' | 'ustar' | 'gnu';

/** Reads numbers out of a block: a header, or an extension of a sparse map. */
export class NumberFields {
  constructor(
    readonly bytes: Buffer,
    protected readonly fault: Fault,
  ) {}

  number(place: readonly [number, number], what: string): number {
    const value = this.signed(place, what);
    if (value < 0) throw this.fault(`its ${what} is negative`);
    return value;
  }

  protected signed([at, length]: readonly [number, number], what: string): number {
    const first = this.bytes[at] ?? 0;
    const value = first >= 0x80 ? this.#base256(at, length) : this.octal(at, length);
    if (Number.isNaN(value)) throw this.fault(`its ${what} is not a number`);
    if (!Number.isSafeInteger(value)) throw this.fault(`its ${what} is out of range`);
    return value;
  }

  /** GNU's: two's complement, big endian, behind a marker bit. Beyond 2^53 the sum is inexact, but never safe again. */
  #base256(at: number, length: number): number {
    const negative = ((this.bytes[at] ?? 0) & 0x40) !== 0;
    const mask = negative ? 0xff : 0;
    let value = ((this.bytes[at] ?? 0) ^ mask) & 0x3f;
    for (let place = at + 1; place < at + length; place += 1) value = value * 256 + ((this.bytes[place] ?? 0) ^ mask);
    return negative ? -value - 1 : value;
  }

  /** Blanks may lead, a blank or NUL ends; nothing at all is 0, as v7 leaves fields it does not use. */
  protected octal(at: number, length: number): number {
    let place = at;
    while (place < at + length && this.bytes[place] === 0x20) place += 1;
    let value = 0;
    for (; place < at + length; place += 1) {
      const byte = this.bytes[place] ?? 0;
      if (byte === 0 || byte === 0x20) break;
      if (byte < 0x30 || byte > 0x37) return Number.NaN;
      value = value * 8 + byte - 0x30;
    }
    return value;
  }
}

export class HeaderBlock extends NumberFields {
  readonly dialect: TarDialect;
  readonly typeflag: string;

  constructor(bytes: Buffer, fault: Fault) {
    super(bytes, fault);
    this.#verifyChecksum();
    const magic = bytes.toString('latin1', MAGIC[0], MAGIC[0] + MAGIC[1]);
    this.dialect = magic === 'ustar  \0' ? 'gnu' : magic.startsWith('ustar\0') ? 'ustar' : 'v7';
    this.typeflag = bytes[TYPE] === 0 ? '0' : String.fromCharCode(bytes[TYPE] ?? 0);
  }

  get path(): string {
    const name = this.#text(NAME);
    if (this.dialect !== 'ustar') return name;
    const star = this.bytes.toString('latin1', 508, 512) === 'tar\0';
    const prefix = this.#text(star ? STAR_PREFIX : PREFIX);
    return prefix === '' ? name : `${prefix}/${name}`;
  }

  get linkname(): string {
    return this.#text(LINKNAME);
  }

  get uname(): string {
    return this.dialect === 'v7' ? '' : this.#text(UNAME);
  }

  get gname(): string {
    return this.dialect === 'v7' ? '' : this.#text(GNAME);
  }

  /** Some writers keep the file type's bits here too. */
  get mode(): number {
    return this.number(MODE, 'mode') % 0o10000;
  }

  get uid(): number {
    return this.number(UID, 'uid');
  }

  get gid(): number {
    return this.number(GID, 'gid');
  }

  get size(): number {
    return this.number(SIZE, 'size');
  }

  get mtimeSeconds(): number {
    return this.signed(MTIME, 'mtime');
  }

  get devmajor(): number {
    return this.number(DEVMAJOR, 'device major');
  }

  get devminor(): number {
    return this.number(DEVMINOR, 'device minor');
  }

  #text([at, length]: readonly [number, number]): string {
    const end = this.bytes.subarray(at, at + length).indexOf(0);
    return decodeName(this.bytes.subarray(at, end < 0 ? at + length : at + end));
  }

  /** The sum of the block with blanks for the sum itself. Historic writers added signed bytes; both are taken. */
  #verifyChecksum(): void {
    const { unsigned, signed } = checksums(this.bytes);
    const stored = this.octal(CHECKSUM[0], CHECKSUM[1]);
    if (stored !== unsigned && stored !== signed) throw this.fault('its header has a wrong checksum');
  }
}

function checksums(block: Buffer): { unsigned: number; signed: number } {
  let unsigned = 0;
  let high = 0;
  for (let at = 0; at < BLOCK_BYTES; at += 1) {
    const byte = at >= CHECKSUM[0] && at < TYPE ? 0x20 : (block[at] ?? 0);
    unsigned += byte;
    if (byte >= 0x80) high += 1;
  }
  return { unsigned, signed: unsigned - high * 256 };
}

export interface HeaderFields {
  readonly name: Buffer;
  readonly prefix: Buffer;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly size: number;
  readonly mtimeSeconds: number;
  readonly typeflag: string;
  readonly linkname: Buffer;
  readonly devmajor: number;
  readonly devminor: number;
}

/** A ustar block of fields that fit. */
export function formatHeaderBlock(fields: HeaderFields): Buffer {
  const block = Buffer.alloc(BLOCK_BYTES);
  const octal = ([at, length]: readonly [number, number], value: number): void => {
    block.write(value.toString(8).padStart(length - 1, '0'), at, 'latin1');
  };
  fields.name.copy(block, NAME[0]);
  octal(MODE, fields.mode);
  octal(UID, fields.uid);
  octal(GID, fields.gid);
  octal(SIZE, fields.size);
  octal(MTIME, fields.mtimeSeconds);
  block.write(fields.typeflag, TYPE, 'latin1');
  fields.linkname.copy(block, LINKNAME[0]);
  block.write('ustar\x0000', MAGIC[0], 'latin1');
  octal(DEVMAJOR, fields.devmajor);
  octal(DEVMINOR, fields.devminor);
  fields.prefix.copy(block, PREFIX[0]);
  block.write(`${checksums(block).unsigned.toString(8).padStart(6, '0')}\0 `, CHECKSUM[0], 'latin1');
  return block;
}
