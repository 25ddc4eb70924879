/**
 * The vocabulary of the tar codec. An *archive* is a row of *entries*; an entry is a header and, for files, a body. The codec knows
 * bytes only: it opens no file and makes no decision about what an entry may do to a tree (see `classifyLayerPath` for that).
 *
 * Names are byte strings in the archive and JavaScript strings here. Bytes that are UTF-8 read as what they spell; every other byte
 * b reads as the lone surrogate U+DC00+b, as in PEP 383, so that `encodeName(path)` gives the archive's very bytes back. Whoever
 * hands a name to the kernel hands it `encodeName(name)`: a plain string would turn such bytes into U+FFFD.
 */
export type TarEntryType = 'file' | 'directory' | 'symlink' | 'hardlink' | 'char' | 'block' | 'fifo';

export interface TarHeader {
  /** As the archive spells it: `./a//b`, `/a`, `../a` and a directory's closing slash are all still there. Never empty, no NUL. */
  readonly path: string;
  readonly type: TarEntryType;
  /** Permission bits with set-id and sticky: at most 0o7777. */
  readonly mode: number;
  /** At most 4294967294: the next one is chown(2)'s "leave as it is". */
  readonly uid: number;
  readonly gid: number;
  /** Bytes of the file, holes included; 0 for everything that is not a file. */
  readonly size: number;
  /** Since 1970, may be negative. */
  readonly mtimeNs: bigint;
  /** The target of a symlink or the earlier entry that a hardlink repeats; '' otherwise. */
  readonly linkname: string;
  /** 0 unless the entry is a device. */
  readonly devmajor: number;
  readonly devminor: number;
  /** Binary values by full name (`security.capability`). */
  readonly xattrs: ReadonlyMap<string, Buffer>;
}

/** Where a sparse file has data. Sorted, disjoint, never empty, inside the file's size; all else is a hole. */
export interface TarExtent {
  readonly offset: number;
  readonly length: number;
}

export interface TarData {
  readonly offset: number;
  readonly bytes: Buffer;
}

export interface TarEntry extends TarHeader {
  /** '' when the archive names none. */
  readonly uname: string;
  readonly gname: string;
  /** Of a file archived as sparse. */
  readonly sparse?: readonly TarExtent[];
  /**
   * The file's bytes, `size` of them, holes as zeros. Can be read once, here or through `data`, and only until the next entry is
   * asked for; what is left is skipped then. Chunks are views of the source's chunks: copy what is kept.
   */
  readonly content: AsyncIterable<Buffer>;
  /** The same bytes with their places in the file and without the holes: what a sparse copy and a sparse bomb's victim want. */
  readonly data: AsyncIterable<TarData>;
  /**
   * All of `content` in one piece, in its place, where it has come already and has no holes: what is small then costs no turn of the event loop. undefined: nothing
   * was read. Until the next entry is asked for.
   */
  readonly whole: () => Buffer | undefined;
}

/** What `writeTar` takes; every `TarEntry` is one. */
export interface TarEntryInput {
  readonly path: string;
  readonly type: TarEntryType;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** 0 when left out. */
  readonly size?: number;
  readonly mtimeNs: bigint;
  readonly linkname?: string;
  readonly devmajor?: number;
  readonly devminor?: number;
  readonly xattrs?: ReadonlyMap<string, Uint8Array>;
  /** Exactly `size` bytes. */
  readonly content?: AsyncIterable<Uint8Array> | Iterable<Uint8Array>;
}

export interface TarLimits {
  /** Entries, global headers and volume labels together. */
  readonly maxEntries: number;
  /** One extended header, the sum of what global headers leave standing, or one sparse map. */
  readonly maxHeaderBytes: number;
  /** A path or link name. */
  readonly maxPathBytes: number;
  /** One file, holes included. */
  readonly maxEntryBytes: number;
}

export interface ReadTarOptions extends Partial<TarLimits> {
  /**
   * Take the source's end between two entries, or in the padding behind one, for the archive's: Docker's client ends contexts so (`docker build -f -`). For bytes whose length is
   * vouched for by what carries them.
   */
  readonly allowMissingEnd?: boolean;
}

export const DEFAULT_TAR_LIMITS: TarLimits = {
  maxEntries: 4_000_000,
  maxHeaderBytes: 1 << 20,
  maxPathBytes: 4096,
  maxEntryBytes: 2 ** 40,
};

export const MAX_TAR_ID = 0xffff_fffe;
