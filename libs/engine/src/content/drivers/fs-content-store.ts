import { createHash } from 'node:crypto';
import { mkdir, open, opendir, rename, rm, stat, type FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import { CodedError, digestHex, errnoOf, finishDigest, isDigest, type Digest } from '#kernel';
import { StagingArea, removeFile, syncDirectory } from '../../linux/index.js';
import type { BlobInfo, ContentStore } from '../content.js';
import { VerifiedFileReader } from './verified-file-reader.js';

const DEFAULT_READ_LIMIT = 4 * 1024 * 1024;

/**
 * Blobs as files: `blobs/sha256/<hex>` below the root (the layout of an OCI image layout, image-layout.md), made in `staging/` and
 * renamed into place. Two writers of the same bytes do not meet: each renames its own whole copy, the last one stays.
 */
export class FsContentStore implements ContentStore {
  private constructor(
    private readonly blobs: string,
    private readonly staging: StagingArea,
  ) {}

  /** Creates the directories if need be, and sweeps what dead writers left half written. */
  static async open(root: string): Promise<FsContentStore> {
    const blobs = join(root, 'blobs', 'sha256');
    await mkdir(blobs, { recursive: true, mode: 0o700 });
    return new FsContentStore(blobs, await StagingArea.open(join(root, 'staging')));
  }

  async write(source: AsyncIterable<Uint8Array>, expected?: Digest): Promise<BlobInfo> {
    const staged = this.staging.newPath();
    try {
      const info = await stage(source, staged);
      if (expected !== undefined && info.digest !== expected) {
        throw new CodedError('digest_mismatch', 'the bytes are not those that were announced', { expected, actual: info.digest, size: info.size });
      }
      // Also when the blob is there already: the name then points to bytes that were verified just now, so damage heals.
      await rename(staged, this.path(info.digest));
      await syncDirectory(this.blobs);
      return info;
    } catch (error) {
      await rm(staged, { force: true });
      throw error;
    }
  }

  async open(digest: Digest): Promise<VerifiedFileReader> {
    let file: FileHandle;
    try {
      file = await open(this.path(digest), 'r');
    } catch (error) {
      if (errnoOf(error) === 'ENOENT') throw new CodedError('not_found', 'no such blob', { digest }, { cause: error });
      throw error;
    }
    try {
      return new VerifiedFileReader(digest, (await file.stat()).size, file);
    } catch (error) {
      await file.close();
      throw error;
    }
  }

  async read(digest: Digest, maxBytes = DEFAULT_READ_LIMIT): Promise<Buffer> {
    const reader = await this.open(digest);
    if (reader.size > maxBytes) {
      await reader.close();
      throw new CodedError('payload_too_large', 'a blob is larger than its reader takes', { digest, size: reader.size, maxBytes });
    }
    const chunks: Uint8Array[] = [];
    for await (const chunk of reader) chunks.push(chunk);
    return Buffer.concat(chunks);
  }

  async stat(digest: Digest): Promise<BlobInfo | undefined> {
    try {
      return { digest, size: (await stat(this.path(digest))).size };
    } catch (error) {
      if (errnoOf(error) === 'ENOENT') return undefined;
      throw error;
    }
  }

  async *list(): AsyncGenerator<BlobInfo, void, void> {
    for await (const entry of await opendir(this.blobs)) {
      const digest = `sha256:${entry.name}`;
      const info = isDigest(digest) ? await this.stat(digest) : undefined;
      if (info) yield info;
    }
  }

  async delete(digest: Digest): Promise<void> {
    await removeFile(this.path(digest));
  }

  private path(digest: Digest): string {
    if (!isDigest(digest)) throw new CodedError('invalid_argument', 'not a sha256 digest');
    return join(this.blobs, digestHex(digest));
  }
}

async function stage(source: AsyncIterable<Uint8Array>, path: string): Promise<BlobInfo> {
  const file = await open(path, 'wx', 0o600);
  try {
    const hash = createHash('sha256');
    let size = 0;
    for await (const chunk of source) {
      hash.update(chunk);
      size += chunk.byteLength;
      await writeAll(file, chunk);
    }
    await file.sync();
    return { digest: finishDigest(hash), size };
  } finally {
    await file.close();
  }
}

/** write(2) may take less than it is given. */
async function writeAll(file: FileHandle, chunk: Uint8Array): Promise<void> {
  let offset = 0;
  while (offset < chunk.byteLength) {
    const { bytesWritten } = await file.write(chunk, offset, chunk.byteLength - offset);
    offset += bytesWritten;
  }
}
