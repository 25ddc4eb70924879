import { createHash } from 'node:crypto';
import type { FileHandle } from 'node:fs/promises';
import { CodedError, finishDigest, type Digest } from '#kernel';
import type { BlobReader } from '../content.js';

const CHUNK_BYTES = 256 * 1024;

/** Reads a blob's file and hashes it on the way, so that no caller can forget the check. */
export class VerifiedFileReader implements BlobReader {
  private started = false;

  constructor(
    readonly digest: Digest,
    readonly size: number,
    private readonly file: FileHandle,
    private readonly onDamage: () => void,
  ) {}

  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array, void, void> {
    if (this.started) throw new CodedError('failed_precondition', 'a blob reader is iterated once', { digest: this.digest });
    this.started = true;
    const hash = createHash('sha256');
    let total = 0;
    try {
      for (;;) {
        const { bytesRead, buffer } = await this.file.read(Buffer.allocUnsafe(CHUNK_BYTES), 0, CHUNK_BYTES, null);
        if (bytesRead === 0) break;
        total += bytesRead;
        // A file that has grown is wrong already: stop before it is read to an end that may never come.
        if (total > this.size) break;
        const chunk = buffer.subarray(0, bytesRead);
        hash.update(chunk);
        yield chunk;
      }
      const actual = finishDigest(hash);
      if (total !== this.size || actual !== this.digest) {
        this.onDamage();
        throw new CodedError('digest_mismatch', 'a stored blob is damaged', { digest: this.digest, actual, size: total });
      }
    } finally {
      await this.close();
    }
  }

  async close(): Promise<void> {
    this.started = true;
    await this.file.close();
  }
}
