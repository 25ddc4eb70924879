import { CodedError } from '#kernel';
import { BLOCK_BYTES, paddingOf } from './blocks.js';
import { ByteSource } from './byte-source.js';
import { EntryBody } from './entry-body.js';
import { ExtendedHeaders } from './extended-headers.js';
import { HeaderBlock } from './header-block.js';
import { encodeName } from './names.js';
import { checkExtents, isSparse, readSparseMap, type SparseMap } from './sparse-map.js';
import { DEFAULT_TAR_LIMITS, MAX_TAR_ID, type ReadTarOptions, type TarEntry, type TarEntryType, type TarLimits } from './tar.js';

/** Typeflags that are entries. `7` was contiguous files' and is a file everywhere since. */
const TYPES: Readonly<Partial<Record<string, TarEntryType>>> = {
  '0': 'file',
  '7': 'file',
  S: 'file',
  '1': 'hardlink',
  '2': 'symlink',
  '3': 'char',
  '4': 'block',
  '5': 'directory',
  '6': 'fifo',
};

/** Typeflags of headers about headers. */
const META: ReadonlySet<string> = new Set(['x', 'g', 'L', 'K', 'V']);

/**
 * The entries of an archive in v7, ustar, GNU or PAX format, one at a time; see `TarEntry.content` for the life of a body. After the
 * two zero blocks that end an archive the source is read to its end and what it holds is ignored. Leaving the loop closes the source.
 * @throws CodedError `invalid_argument` for an archive that is malformed or beyond a limit; its details give `entry` (from 1) and
 * `offset` (bytes). The source's own errors pass unchanged.
 */
export async function* readTar(source: AsyncIterable<Uint8Array>, options: ReadTarOptions = {}): AsyncGenerator<TarEntry, void, void> {
  const reader = new TarReader(source, options);
  try {
    for (let entry = await reader.next(); entry !== undefined; entry = await reader.next()) yield entry;
  } finally {
    await reader.close();
  }
}

class TarReader {
  readonly #limits: TarLimits;
  readonly #source: ByteSource;
  readonly #headers: ExtendedHeaders;
  readonly #allowMissingEnd: boolean;
  #body: EntryBody | undefined;
  #entry = 0;
  /** Entries and what counts as one. */
  #count = 0;

  constructor(source: AsyncIterable<Uint8Array>, options: ReadTarOptions) {
    this.#limits = { ...DEFAULT_TAR_LIMITS, ...options };
    this.#allowMissingEnd = options.allowMissingEnd === true;
    this.#source = new ByteSource(source, this.#fault);
    this.#headers = new ExtendedHeaders(this.#limits.maxHeaderBytes, this.#fault);
  }

  close(): Promise<void> {
    return this.#source.close();
  }

  async next(): Promise<TarEntry | undefined> {
    const body = this.#body;
    if (body?.finishAtHand() === false) await body.finish({ allowMissingPadding: this.#allowMissingEnd });
    this.#body = undefined;
    this.#headers.reset();
    this.#entry += 1;
    for (;;) {
      const bytes = this.#source.atHand(BLOCK_BYTES) ?? (await this.#source.block());
      if (bytes === undefined || isZero(bytes)) {
        await this.#end(bytes !== undefined);
        return undefined;
      }
      const block = new HeaderBlock(bytes, this.#fault);
      if (!META.has(block.typeflag) || !(await this.#takeMeta(block))) return this.#open(block);
    }
  }

  readonly #fault = (what: string): CodedError =>
    new CodedError('invalid_argument', `archive entry ${this.#entry}: ${what}`, { entry: this.#entry, offset: this.#source.offset });

  async #end(zeroBlock: boolean): Promise<void> {
    if (this.#headers.pending) throw this.#fault('the archive ends between an extended header and its entry');
    const second = zeroBlock ? await this.#source.block() : undefined;
    if (second === undefined) {
      if (this.#allowMissingEnd) return;
      throw this.#fault('the archive is cut short: its two closing zero blocks are missing');
    }
    if (!isZero(second)) throw this.#fault('a zero block stands between entries');
    await this.#source.drain();
  }

  /** Whether the block was a header about headers. */
  async #takeMeta(block: HeaderBlock): Promise<boolean> {
    const { typeflag } = block;
    switch (typeflag) {
      case 'x':
        this.#headers.addLocal(await this.#metaBody(block));
        return true;
      case 'g':
        this.#countOne();
        this.#headers.addGlobal(await this.#metaBody(block));
        return true;
      case 'L':
      case 'K':
        this.#headers.addLong(typeflag, await this.#metaBody(block));
        return true;
      case 'V':
        this.#countOne();
        await this.#metaBody(block);
        return true;
      default:
        return false;
    }
  }

  async #metaBody(block: HeaderBlock): Promise<Buffer> {
    const size = block.size;
    if (size > this.#limits.maxHeaderBytes) throw this.#fault(`an extended header is longer than ${this.#limits.maxHeaderBytes} bytes`);
    const body = await this.#source.exactly(size);
    await this.#source.skip(paddingOf(size));
    return body;
  }

  #countOne(): void {
    this.#count += 1;
    if (this.#count > this.#limits.maxEntries) throw this.#fault(`the archive has more than ${this.#limits.maxEntries} entries`);
  }

  async #open(block: HeaderBlock): Promise<TarEntry> {
    this.#countOne();
    const headers = this.#headers;
    const path = this.#checkName(headers.path(block.path), 'path');
    const type = this.#typeOf(block, path);
    const linked = type === 'symlink' || type === 'hardlink';
    const device = type === 'char' || type === 'block';
    const header = {
      path,
      type,
      mode: block.mode,
      uid: this.#id(headers.number('uid') ?? block.uid, 'uid'),
      gid: this.#id(headers.number('gid') ?? block.gid, 'gid'),
      uname: this.#checkText(headers.text('uname', block.uname), 'uname'),
      gname: this.#checkText(headers.text('gname', block.gname), 'gname'),
      mtimeNs: headers.nanoseconds('mtime') ?? BigInt(block.mtimeSeconds) * 1_000_000_000n,
      linkname: linked ? this.#checkName(headers.linkname(block.linkname), 'link name') : '',
      devmajor: device ? this.#id(headers.number('SCHILY.devmajor') ?? block.devmajor, 'device major') : 0,
      devminor: device ? this.#id(headers.number('SCHILY.devminor') ?? block.devminor, 'device minor') : 0,
      xattrs: headers.xattrs(),
    };
    const stored = this.#storedBytes(block, type);
    const sparse = isSparse(block, headers) ? await this.#sparseMap(block, type, stored) : undefined;
    const body = new EntryBody(this.#source, sparse?.size ?? stored, stored - (sparse?.mapBytes ?? 0), sparse?.extents);
    this.#body = body;
    return { ...header, size: sparse?.size ?? stored, ...(sparse === undefined ? {} : { sparse: sparse.extents }), content: body.content, data: body.data, whole: () => body.whole() };
  }

  #storedBytes(block: HeaderBlock, type: TarEntryType): number {
    const stored = this.#headers.number('size') ?? block.size;
    // Readers differ on whether such a body is there: what one takes for bytes is the next one's entries.
    if (type !== 'file' && stored !== 0) throw this.#fault(`it is a ${type} with a body`);
    if (stored > this.#limits.maxEntryBytes) throw this.#fault(`it has more than ${this.#limits.maxEntryBytes} bytes`);
    return stored;
  }

  async #sparseMap(block: HeaderBlock, type: TarEntryType, storedBytes: number): Promise<SparseMap> {
    const fault = this.#fault;
    const map = await readSparseMap({ block, headers: this.#headers, source: this.#source, storedBytes, maxMapBytes: this.#limits.maxHeaderBytes, fault });
    if (type !== 'file') throw fault(`it is a sparse ${type}`);
    if (map.size > this.#limits.maxEntryBytes) throw fault(`it has more than ${this.#limits.maxEntryBytes} bytes`);
    return { ...map, extents: checkExtents(map, storedBytes, fault) };
  }

  /** Before typeflag 5 there was the closing slash. */
  #typeOf(block: HeaderBlock, path: string): TarEntryType {
    const type = TYPES[block.typeflag];
    if (type === undefined) throw this.#fault(`its type ${JSON.stringify(block.typeflag)} is unknown`);
    return type === 'file' && path.endsWith('/') ? 'directory' : type;
  }

  #checkName(name: string, what: string): string {
    if (name === '') throw this.#fault(`its ${what} is empty`);
    // No UTF-16 unit stands for more than three bytes: short names need no count.
    if (name.length * 3 > this.#limits.maxPathBytes && encodeName(name).length > this.#limits.maxPathBytes) {
      throw this.#fault(`its ${what} is longer than ${this.#limits.maxPathBytes} bytes`);
    }
    return this.#checkText(name, what);
  }

  #checkText(text: string, what: string): string {
    if (text.includes('\0')) throw this.#fault(`its ${what} holds NUL`);
    return text;
  }

  #id(value: number, what: string): number {
    if (value > MAX_TAR_ID) throw this.#fault(`its ${what} is out of range`);
    return value;
  }
}

function isZero(block: Buffer): boolean {
  return block[0] === 0 && block.every((byte) => byte === 0);
}
