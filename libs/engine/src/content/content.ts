import type { Digest } from '#kernel';

export interface BlobInfo {
  readonly digest: Digest;
  readonly size: number;
}

/** Immutable bytes named by their digest. A blob is invisible until it is whole, verified and on disk (fsync). */
export interface ContentStore {
  /**
   * Streams `source` in. Idempotent: bytes already present are accepted and stored once.
   * @throws CodedError `digest_mismatch` when the bytes do not hash to `expected`; nothing is kept.
   */
  write(source: AsyncIterable<Uint8Array>, expected?: Digest): Promise<BlobInfo>;
  /** The caller owns the stream. Bytes are verified as they pass: a damaged blob ends it with `digest_mismatch`. @throws CodedError `not_found` */
  open(digest: Digest): Promise<AsyncIterable<Uint8Array>>;
  /** Whole, verified content of a small blob (a config, a manifest). @throws CodedError `not_found`, `payload_too_large`, `digest_mismatch` */
  read(digest: Digest, maxBytes?: number): Promise<Buffer>;
  /** undefined when there is none. */
  stat(digest: Digest): Promise<BlobInfo | undefined>;
  list(): AsyncIterable<BlobInfo>;
  /** Idempotent. Nobody may still need it. */
  delete(digest: Digest): Promise<void>;
}
