import { createHash } from 'node:crypto';
import { mkdir, open, opendir, rename, rm, stat, type FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import { CodedError, digestHex, errnoOf, finishDigest, isDigest, type Digest } from '#kernel';
import { DoubleBuffer, StagingArea, removeFile, syncDirectory } from '../../linux/index.js';
import type { BlobInfo, ContentStore, Ingest, Pin } from '../content.js';
import { Arrivals } from './arrivals.js';
import { syncFile, writeAll } from './blob-files.js';
import { BlobPins } from './blob-pins.js';
import { PartialBlobs } from './partial-blobs.js';
import { VerifiedFileReader } from './verified-file-reader.js';

/** Each write is a round trip to a thread. */
const BATCH_BYTES = 512 * 1024;
const DEFAULT_READ_LIMIT = 4 * 1024 * 1024;
/** A pull that a restart interrupted is asked for again soon; what it had, whole or in part, is given up after so long. */
const UNUSED_MS = 60 * 60 * 1000;

/**
 * Blobs as files: `blobs/sha256/<hex>` below the root (the layout of an OCI image layout, image-layout.md), made in `staging/` and
 * renamed into place. Two writers of the same bytes do not meet: each renames its own whole copy, the last one stays. `partial/<hex>` holds
 * downloads that can be taken up again. Pins are of this process: one process deletes from a store.
 */
export class FsContentStore implements ContentStore {
  private constructor(
    private readonly blobs: string,
    private readonly damaged: Set<Digest>,
    private readonly staging: StagingArea,
    private readonly pins: BlobPins,
    private readonly partials: PartialBlobs,
    private readonly arrivals: Arrivals,
  ) {}

  /** Creates the directories if need be, and sweeps what dead writers left half written. */
  static async open(root: string): Promise<FsContentStore> {
    const blobs = join(root, 'blobs', 'sha256');
    await mkdir(blobs, { recursive: true, mode: 0o700 });
    const arrivals = await Arrivals.open(join(root, 'arrived'));
    const pins = new BlobPins((digest) => {
      // A mark that stays protects its blob for an hour too long.
      arrivals.forget(digest).catch(() => undefined);
    });
    const damaged = new Set<Digest>();
    const partials = await PartialBlobs.open({ folder: join(root, 'partial'), blobFolder: blobs, pins, arrivals, stat: (digest) => statWhole(join(blobs, digestHex(digest)), digest, damaged), onWhole: (digest) => damaged.delete(digest) });
    return new FsContentStore(blobs, damaged, await StagingArea.open(join(root, 'staging')), pins, partials, arrivals);
  }

  async write(source: AsyncIterable<Uint8Array>, expected?: Digest, pin?: Pin): Promise<BlobInfo> {
    const staged = this.staging.newPath();
    try {
      const info = await stage(source, staged);
      if (expected !== undefined && info.digest !== expected) {
        throw new CodedError('digest_mismatch', 'the bytes are not those that were announced', { expected, actual: info.digest, size: info.size });
      }
      await pin?.add([info.digest]);
      // Also when the blob is there already: the name then points to bytes that were verified just now, so damage heals.
      await rename(staged, this.path(info.digest));
      this.damaged.delete(info.digest);
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
      return new VerifiedFileReader(digest, (await file.stat()).size, file, () => this.damaged.add(digest));
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

  stat(digest: Digest): Promise<BlobInfo | undefined> {
    return statWhole(this.path(digest), digest, this.damaged);
  }

  async *list(): AsyncGenerator<BlobInfo, void, void> {
    for await (const entry of await opendir(this.blobs)) {
      const digest = `sha256:${entry.name}`;
      const info = isDigest(digest) ? await statBlob(this.path(digest), digest) : undefined;
      if (info) yield info;
    }
  }

  async delete(digest: Digest): Promise<void> {
    const path = this.path(digest);
    await this.pins.removeUnlessHeld(digest, () => removeFile(path));
  }

  pin(digests: Iterable<Digest>): Promise<Pin> {
    return this.pins.pin(digests);
  }

  async ingest(expected: Digest, size?: number): Promise<Ingest> {
    this.path(expected);
    return this.partials.ingest(expected, size);
  }

  async sweep(isNeeded: (digest: Digest) => boolean): Promise<{ readonly removed: readonly BlobInfo[] }> {
    const removed: BlobInfo[] = [];
    for await (const info of this.list()) {
      if (isNeeded(info.digest)) await this.arrivals.forget(info.digest);
      if (await this.arrivals.isRecent(info.digest, UNUSED_MS)) continue;
      if (await this.pins.removeUnlessHeld(info.digest, () => removeFile(this.path(info.digest)), isNeeded)) removed.push(info);
    }
    await this.partials.sweep(UNUSED_MS);
    return { removed };
  }

  private path(digest: Digest): string {
    if (!isDigest(digest)) throw new CodedError('invalid_argument', 'not a sha256 digest');
    return join(this.blobs, digestHex(digest));
  }
}

/** A blob that was read and found damaged is as good as none: whoever needs it fetches it again, over the bad one. */
async function statWhole(path: string, digest: Digest, damaged: ReadonlySet<Digest>): Promise<BlobInfo | undefined> {
  return damaged.has(digest) ? undefined : statBlob(path, digest);
}

async function statBlob(path: string, digest: Digest): Promise<BlobInfo | undefined> {
  try {
    return { digest, size: (await stat(path)).size };
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined;
    throw error;
  }
}

async function stage(source: AsyncIterable<Uint8Array>, path: string): Promise<BlobInfo> {
  const file = await open(path, 'wx', 0o600);
  try {
    const hash = createHash('sha256');
    let size = 0;
    let written = 0;
    const batches = new DoubleBuffer(BATCH_BYTES, async (batch) => {
      await writeAll(file, batch, written);
      written += batch.byteLength;
    });
    for await (const chunk of source) {
      hash.update(chunk);
      size += chunk.byteLength;
      await batches.add(chunk);
    }
    await batches.finish();
    await syncFile(file);
    return { digest: finishDigest(hash), size };
  } finally {
    await file.close();
  }
}
