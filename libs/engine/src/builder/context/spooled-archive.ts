import { createHash } from 'node:crypto';
import { open, rm, type FileHandle } from 'node:fs/promises';
import { CodedError, digestOf, finishDigest, type Digest } from '#kernel';
import { DoubleBuffer } from '../../linux/index.js';
import { readTar, type TarEntry, type TarEntryInput } from '../../tar/index.js';

/** One file, directory, link … of an archive. Its content lies in the spool. */
export interface SpooledEntry extends Omit<TarEntryInput, 'path' | 'content'> {
  readonly size: number;
  readonly linkname: string;
  readonly offset: number;
  /** Of a file's bytes. */
  readonly digest: Digest | undefined;
}

export interface SpoolLimits {
  readonly maxEntries: number;
  /** Of all files together, holes included. */
  readonly maxBytes: number;
}

const STAGE_BYTES = 1024 * 1024;
const READ_BYTES = 256 * 1024;

/**
 * The files of a build context, or of another stage, as one file of bytes and an index in memory. Nothing of an archive is ever unpacked on the node: paths, links and devices
 * in it are words of the index, which no kernel resolves. Each file's digest is taken as its bytes come, so that cache keys cost no second reading.
 */
export class SpooledArchive {
  /** By clean relative path ('' is the root); a later entry has taken the place of an earlier one. */
  readonly entries: ReadonlyMap<string, SpooledEntry>;

  private constructor(
    private readonly path: string,
    private readonly handle: FileHandle,
    entries: Map<string, SpooledEntry>,
  ) {
    this.entries = entries;
  }

  /**
   * Reads a tar to its end into a new file. A failure leaves nothing.
   * @throws CodedError `invalid_argument` (not a tar, a path that leaves it), `resource_exhausted` (beyond a limit, a full disk). What the source throws, likewise.
   */
  static async of(path: string, tar: AsyncIterable<Uint8Array>, limits: SpoolLimits): Promise<SpooledArchive> {
    const handle = await open(path, 'wx+', 0o600);
    try {
      return new SpooledArchive(path, handle, await new Spooler(handle, limits).read(tar));
    } catch (error) {
      await handle.close();
      await rm(path, { force: true });
      throw error;
    }
  }

  /** The same files without those that are ignored. One of both is removed. */
  without(ignores: (path: string) => boolean): SpooledArchive {
    return new SpooledArchive(this.path, this.handle, new Map([...this.entries].filter(([path]) => !ignores(path))));
  }

  /** The bytes of a file. */
  async *content({ offset, size }: SpooledEntry): AsyncGenerator<Buffer, void, undefined> {
    const end = offset + size;
    for (let at = offset; at < end; ) {
      const { buffer, bytesRead } = await this.handle.read(Buffer.allocUnsafe(Math.min(READ_BYTES, end - at)), 0, undefined, at);
      if (bytesRead === 0) throw new CodedError('internal', 'a spooled archive is shorter than its index');
      at += bytesRead;
      yield buffer.subarray(0, bytesRead);
    }
  }

  /** @throws CodedError `not_found`, `payload_too_large` */
  async read(path: string, maxBytes: number): Promise<Buffer> {
    const entry = this.entries.get(path);
    if (entry?.type !== 'file') throw new CodedError('not_found', `${path}: no such file in the build context`, { path });
    if (entry.size > maxBytes) throw new CodedError('payload_too_large', `${path} is larger than ${maxBytes} bytes`, { path, maxBytes });
    const chunks: Buffer[] = [];
    for await (const chunk of this.content(entry)) chunks.push(chunk);
    return Buffer.concat(chunks);
  }

  /** Idempotent. */
  async remove(): Promise<void> {
    await this.handle.close();
    await rm(this.path, { force: true });
  }
}

class Spooler {
  private readonly entries = new Map<string, SpooledEntry>();
  private offset = 0;
  private bytes = 0;
  private count = 0;

  constructor(
    private readonly handle: FileHandle,
    private readonly limits: SpoolLimits,
  ) {}

  async read(tar: AsyncIterable<Uint8Array>): Promise<Map<string, SpooledEntry>> {
    const stage = new DoubleBuffer(STAGE_BYTES, async (bytes) => {
      await this.handle.appendFile(bytes);
    });
    for await (const entry of readTar(tar, { maxEntries: this.limits.maxEntries, allowMissingEnd: true })) {
      const path = cleanPath(entry.path, entry);
      if ((this.count += 1) > this.limits.maxEntries) throw new CodedError('resource_exhausted', `the context has more than ${this.limits.maxEntries} entries`);
      await this.take(path, entry, stage);
    }
    await stage.finish();
    return this.entries;
  }

  private async take(path: string, entry: TarEntry, stage: DoubleBuffer): Promise<void> {
    const { type, mode, uid, gid, mtimeNs, size, linkname, devmajor, devminor, xattrs } = entry;
    const common = { mode, uid, gid, mtimeNs, devmajor, devminor, xattrs };
    const old = this.entries.get(path);
    if (old !== undefined && (old.type === 'directory') !== (type === 'directory')) throw new CodedError('invalid_argument', `the context has ${JSON.stringify(path.slice(0, 200))} as a directory and as a file`);
    if (type === 'hardlink') {
      const first = this.entries.get(cleanPath(linkname, entry));
      if (first?.type !== 'file') throw new CodedError('invalid_argument', `the context's entry ${JSON.stringify(entry.path.slice(0, 200))} links to what is no file of it`);
      // One entry by two names: who copies both can tell that they are one file.
      this.entries.set(path, first);
      return;
    }
    if (type !== 'file') {
      this.entries.set(path, { type, ...common, size: 0, linkname, offset: 0, digest: undefined });
      return;
    }
    this.bytes += size;
    if (this.bytes > this.limits.maxBytes) throw new CodedError('resource_exhausted', `the context is larger than ${this.limits.maxBytes} bytes`, { maxBytes: this.limits.maxBytes });
    const digest = await spooled(entry, stage);
    this.entries.set(path, { type, ...common, size, linkname: '', offset: this.offset, digest });
    this.offset += size;
  }
}

/** A small file has mostly come as a whole: then nothing of it is waited for. */
async function spooled(entry: TarEntry, stage: DoubleBuffer): Promise<Digest> {
  const whole = entry.whole();
  if (whole !== undefined) {
    if (!stage.put(whole)) await stage.add(whole);
    return digestOf(whole);
  }
  const hash = createHash('sha256');
  for await (const chunk of entry.content) {
    hash.update(chunk);
    await stage.add(chunk);
  }
  return finishDigest(hash);
}

/** A component that is empty, `.` or `..`. */
const UNCLEAN = /(?:^|\/)\.{0,2}(?:\/|$)/;

/** @throws CodedError `invalid_argument` when the path leads out */
function cleanPath(path: string, { path: name }: TarEntry): string {
  if (!UNCLEAN.test(path)) return path;
  const names = path.split('/').filter((each) => each !== '' && each !== '.');
  if (names.includes('..')) throw new CodedError('invalid_argument', `the context's entry ${JSON.stringify(name.slice(0, 200))} leaves it`, { path: name });
  return names.join('/');
}
