import { createHash } from 'node:crypto';
import { posix } from 'node:path';
import { CodedError, finishDigest, isDigest, type Digest } from '#kernel';
import type { ContentStore, Pin } from '../../content/index.js';
import { classifyLayerPath, readTar, type TarEntry } from '../../tar/index.js';
import { compressionOf, peeked } from '../compression.js';
import { MAX_DOCUMENT_BYTES } from '../documents.js';
import { compressed } from '../drivers/decompress.js';
import type { LayerCompression } from '../media-types.js';
import type { LoadProgress } from '../tenant-images.js';

/** A file of an archive, kept as a blob: as it is, or, a tar that is not compressed, as layers that are made here are kept. */
export interface StoredFile {
  /** Of the blob. */
  readonly digest: Digest;
  readonly size: number;
  /** Of the blob, by its first bytes. */
  readonly compression: LayerCompression;
}

/** An archive holds a few files a layer; more entries are none of an image's. */
const MAX_ENTRIES = 50_000;
/** Docker's archives of old repeat layers as links; nobody chains more. */
const MAX_LINKS = 16;
const BLOB = /^blobs\/sha256\/([0-9a-f]{64})$/;
const TAR_BLOCK_BYTES = 512;
const PROGRESS_BYTES = 4 * 1024 * 1024;

export interface StoreFilesOptions {
  readonly content: ContentStore;
  readonly pin: Pin;
  /** Of all its files together. */
  readonly maxBytes: number | undefined;
  readonly onProgress: ((progress: LoadProgress) => void) | undefined;
}

/** The files of an image archive by their paths in it: every file is streamed into the content store, whatever it turns out to be. */
export class StoredFiles {
  private readonly files = new Map<string, StoredFile>();
  private readonly links = new Map<string, string>();
  private bytes = 0;

  private constructor(private readonly options: StoreFilesOptions) {}

  /** @throws CodedError `invalid_argument`, `digest_mismatch` (a blob is not what its path says), `quota_exceeded`, `resource_exhausted` */
  static async read(archive: AsyncIterable<Uint8Array>, options: StoreFilesOptions): Promise<StoredFiles> {
    const files = new StoredFiles(options);
    for await (const entry of readTar(archive, { maxEntries: MAX_ENTRIES })) await files.take(entry);
    return files;
  }

  has(path: string): boolean {
    return this.files.has(this.resolve(path));
  }

  /** @throws CodedError `invalid_argument` */
  get(path: string): StoredFile {
    const file = this.files.get(this.resolve(path));
    if (file === undefined) throw new CodedError('invalid_argument', `invalid archive: it names ${JSON.stringify(path.slice(0, 200))} and does not hold it`);
    return file;
  }

  /** @throws CodedError `invalid_argument` (absent or too large) */
  async read(path: string): Promise<Buffer> {
    const { digest, size } = this.get(path);
    if (size > MAX_DOCUMENT_BYTES) throw new CodedError('invalid_argument', `invalid archive: ${path} has ${size} bytes, at most ${MAX_DOCUMENT_BYTES} are allowed`);
    return this.options.content.read(digest, MAX_DOCUMENT_BYTES);
  }

  /** Everything that was stored. */
  digests(): Set<Digest> {
    return new Set([...this.files.values()].map(({ digest }) => digest));
  }

  private async take(entry: TarEntry): Promise<void> {
    const path = normalized(entry.path);
    if (path === '') return;
    if (entry.type === 'symlink') this.links.set(path, normalized(posix.join(posix.dirname(path), entry.linkname)));
    else if (entry.type === 'hardlink') this.links.set(path, normalized(entry.linkname));
    else if (entry.type === 'file') await this.store(path, entry);
  }

  private async store(path: string, entry: TarEntry): Promise<void> {
    const { content, pin, maxBytes } = this.options;
    this.bytes += entry.size;
    if (maxBytes !== undefined && this.bytes > maxBytes) throw new CodedError('quota_exceeded', 'the archive holds more than the images of this tenant may take', { maxBytes });
    const { head, source } = await peeked(entry.content);
    const expected = BLOB.exec(path)?.[1];
    const digest = expected === undefined ? undefined : `sha256:${expected}`;
    const known = isDigest(digest) ? digest : undefined;
    if (known !== undefined) await pin.add([known]);
    const reported = this.reported(source, known, entry.size);
    const compression = compressionOf(head);
    const file = compression === 'none' && isTar(head, entry.size) ? await this.storeTar(reported, known) : { ...(await content.write(reported, known, pin)), compression };
    this.files.set(path, file);
    this.links.delete(path);
  }

  /**
   * An archive holds layers as plain tars, whatever they were before. Compressed as an import or a commit compresses them, a layer is one blob on the node
   * whoever brought it; and which blob that is follows from its bytes alone, so nobody learns whether it was there.
   */
  private async storeTar(tar: AsyncIterable<Uint8Array>, expected: Digest | undefined): Promise<StoredFile> {
    const hash = createHash('sha256');
    const hashed = async function* (): AsyncGenerator<Uint8Array, void, void> {
      for await (const chunk of tar) {
        hash.update(chunk);
        yield chunk;
      }
    };
    const info = await this.options.content.write(compressed(hashed()), undefined, this.options.pin);
    const actual = finishDigest(hash);
    if (expected !== undefined && actual !== expected) throw new CodedError('digest_mismatch', 'a file of the archive is not what its path says', { expected, actual });
    return { ...info, compression: 'zstd' };
  }

  private async *reported(source: AsyncIterable<Uint8Array>, layer: Digest | undefined, total: number): AsyncGenerator<Uint8Array, void, void> {
    const { onProgress } = this.options;
    let current = 0;
    let said = 0;
    for await (const chunk of source) {
      yield chunk;
      current += chunk.byteLength;
      if (layer === undefined || onProgress === undefined || (current - said < PROGRESS_BYTES && current < total)) continue;
      said = current;
      onProgress({ layer, current, total });
    }
  }

  private resolve(path: string): string {
    let at = normalized(path);
    for (let hops = 0; hops < MAX_LINKS; hops += 1) {
      const next = this.links.get(at);
      if (next === undefined) return at;
      at = next;
    }
    throw new CodedError('invalid_argument', `invalid archive: ${JSON.stringify(path.slice(0, 200))} is a loop of links`);
  }
}

/** By what every tar is and no document: whole blocks, which begin with a name. */
function isTar(head: Buffer, size: number): boolean {
  return size > 0 && size % TAR_BLOCK_BYTES === 0 && !/^[\s{[]/.test(head.toString('latin1'));
}

/** Paths of an archive are keys here, no file is ever opened by one. */
function normalized(path: string): string {
  const classified = classifyLayerPath(path);
  if (classified.kind === 'unsafe') throw new CodedError('invalid_argument', `invalid archive: ${classified.reason}`, { path: path.slice(0, 200) });
  return path
    .split('/')
    .filter((name) => name !== '' && name !== '.')
    .join('/');
}
