import { createHash, type Hash } from 'node:crypto';
import { constants } from 'node:fs';
import { mkdir, open, readdir, rename, stat, type FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import { CodedError, digestHex, errnoOf, finishDigest, isCodedError, isDigest, type Digest } from '#kernel';
import { removeFile, syncDirectory } from '../../linux/index.js';
import type { BlobInfo, Ingest } from '../content.js';
import { diskError, syncFile, writeAll } from './blob-files.js';
import type { Arrivals } from './arrivals.js';
import type { BlobPins } from './blob-pins.js';

const CHUNK_BYTES = 256 * 1024;

export interface PartialBlobsOptions {
  readonly folder: string;
  readonly blobFolder: string;
  readonly pins: BlobPins;
  readonly arrivals: Arrivals;
  readonly stat: (digest: Digest) => Promise<BlobInfo | undefined>;
  /** It was verified and has its place. */
  readonly onWhole: (digest: Digest) => void;
}

/** Downloads that are not whole yet: a file each, named by the digest it is to have, that only ever grows or starts anew. */
export class PartialBlobs {
  /** The newest claim on each digest: it ends when its writer and all before it are done. */
  private readonly claims = new Map<Digest, Promise<void>>();

  private constructor(private readonly options: PartialBlobsOptions) {}

  static async open(options: PartialBlobsOptions): Promise<PartialBlobs> {
    await mkdir(options.folder, { recursive: true, mode: 0o700 });
    return new PartialBlobs(options);
  }

  async ingest(expected: Digest, size: number | undefined): Promise<Ingest> {
    const path = this.path(expected);
    const free = await this.claim(expected);
    try {
      const present = await this.options.stat(expected);
      if (present) {
        free();
        return new PresentBlob(present);
      }
      const file = await open(path, constants.O_RDWR | constants.O_CREAT, 0o600);
      try {
        const { hash, length } = await hashPrefix(file, size);
        return new PartialBlob({ ...this.options, expected, size, path, file, hash, length, free, makeRoom: () => this.makeRoom() });
      } catch (error) {
        await file.close();
        throw error;
      }
    } catch (error) {
      free();
      throw diskError(error);
    }
  }

  /** Removes those that nobody pins or writes and that were last written that long ago. */
  async sweep(unusedMs: number): Promise<void> {
    for (const name of await readdir(this.options.folder)) {
      const digest = `sha256:${name}`;
      if (!isDigest(digest)) continue;
      const path = this.path(digest);
      const written = await lastWrite(path);
      if (written === undefined || this.claims.has(digest) || Date.now() - written < unusedMs) continue;
      // As a writer of its own: one that comes meanwhile waits, and finds no file.
      const free = await this.claim(digest);
      try {
        await this.options.pins.removeUnlessHeld(digest, () => removeFile(path));
      } finally {
        free();
      }
    }
  }

  private async makeRoom(): Promise<void> {
    await this.options.arrivals.forgetAll();
    await this.sweep(0);
  }

  private path(digest: Digest): string {
    return join(this.options.folder, digestHex(digest));
  }

  /** Waits for the writers before; the answer lets the next one in. */
  private async claim(digest: Digest): Promise<() => void> {
    const before = this.claims.get(digest);
    let free: () => void = () => undefined;
    const mine = new Promise<void>((resolve) => {
      free = resolve;
    });
    this.claims.set(digest, mine);
    await before;
    return () => {
      if (this.claims.get(digest) === mine) this.claims.delete(digest);
      free();
    };
  }
}

/** The blob had come before: there is nothing to write. */
class PresentBlob implements Ingest {
  readonly offset: number;

  constructor(private readonly info: BlobInfo) {
    this.offset = info.size;
  }

  write(): Promise<void> {
    return Promise.reject(new CodedError('failed_precondition', 'the blob is whole already', { digest: this.info.digest }));
  }

  async restart(): Promise<void> {
    await Promise.resolve();
    throw new CodedError('failed_precondition', 'the blob is whole already', { digest: this.info.digest });
  }

  commit(): Promise<BlobInfo> {
    return Promise.resolve(this.info);
  }

  async close(): Promise<void> {
    await Promise.resolve();
  }
}

interface PartialBlobState extends PartialBlobsOptions {
  readonly expected: Digest;
  readonly size: number | undefined;
  readonly path: string;
  readonly file: FileHandle;
  readonly hash: Hash;
  readonly length: number;
  readonly free: () => void;
  /** Removes other partial downloads when the disk is full. */
  readonly makeRoom: () => Promise<void>;
}

class PartialBlob implements Ingest {
  private hash: Hash;
  private length: number;
  private closed = false;

  constructor(private readonly state: PartialBlobState) {
    this.hash = state.hash;
    this.length = state.length;
  }

  get offset(): number {
    return this.length;
  }

  async write(chunk: Uint8Array): Promise<void> {
    this.checkOpen();
    const { expected, size, file } = this.state;
    if (size !== undefined && this.length + chunk.byteLength > size) {
      await this.restart();
      throw new CodedError('digest_mismatch', 'more bytes came than were announced', { expected, size });
    }
    await this.roomGuarded(() => writeAll(file, chunk, this.length));
    this.hash.update(chunk);
    this.length += chunk.byteLength;
  }

  async restart(): Promise<void> {
    this.checkOpen();
    await this.state.file.truncate(0);
    this.hash = createHash('sha256');
    this.length = 0;
  }

  async commit(): Promise<BlobInfo> {
    this.checkOpen();
    const { expected, size, file, path, blobFolder, pins, arrivals } = this.state;
    const actual = finishDigest(this.hash.copy());
    if (actual !== expected || (size !== undefined && this.length !== size)) {
      const details = { expected, actual, size: this.length };
      await this.restart();
      throw new CodedError('digest_mismatch', 'the bytes are not those that were announced', details);
    }
    await this.roomGuarded(() => syncFile(file));
    if (pins.isPinned(expected)) await arrivals.mark(expected);
    await rename(path, join(blobFolder, digestHex(expected)));
    this.state.onWhole(expected);
    await syncDirectory(blobFolder);
    await this.close();
    return { digest: expected, size: this.length };
  }

  async close(): Promise<void> {
    if (this.closed) return;
    this.closed = true;
    try {
      await this.state.file.close();
    } finally {
      this.state.free();
    }
  }

  /** On a full disk what is half here is worth less than the room it takes. */
  private async roomGuarded(action: () => Promise<void>): Promise<void> {
    try {
      await action();
    } catch (error) {
      if (isCodedError(error, 'resource_exhausted')) {
        await this.restart();
        await this.state.makeRoom();
      }
      throw error;
    }
  }

  private checkOpen(): void {
    if (this.closed) throw new CodedError('failed_precondition', 'the download was closed', { digest: this.state.expected });
  }
}

/** Of what an earlier writer left: the whole is verified from its first byte, so a prefix that a power cut damaged cannot get through. */
async function hashPrefix(file: FileHandle, size: number | undefined): Promise<{ hash: Hash; length: number }> {
  const hash = createHash('sha256');
  if (size !== undefined && (await file.stat()).size > size) await file.truncate(0);
  let length = 0;
  const buffer = Buffer.allocUnsafe(CHUNK_BYTES);
  for (;;) {
    const { bytesRead } = await file.read(buffer, 0, CHUNK_BYTES, length);
    if (bytesRead === 0) return { hash, length };
    hash.update(buffer.subarray(0, bytesRead));
    length += bytesRead;
  }
}

async function lastWrite(path: string): Promise<number | undefined> {
  try {
    return (await stat(path)).mtimeMs;
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined;
    throw error;
  }
}
