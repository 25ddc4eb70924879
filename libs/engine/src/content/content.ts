import type { Digest } from '#kernel';

export interface BlobInfo {
  readonly digest: Digest;
  readonly size: number;
}

/**
 * The bytes of one blob, to be iterated once. They are verified as they pass: a blob that is damaged, cut or grown ends the
 * iteration with `digest_mismatch`, so nothing may be made of the bytes before the iteration has ended well.
 */
export interface BlobReader extends AsyncIterable<Uint8Array> {
  readonly digest: Digest;
  readonly size: number;
  /** Idempotent. The end of an iteration, of whatever kind, closes it too. */
  close(): Promise<void>;
}

/** Immutable bytes named by their digest. A blob is invisible until it is whole, verified and on disk (fsync). */
export interface ContentStore {
  /**
   * Streams `source` in. Idempotent: bytes already present are accepted and stored once; a damaged copy is replaced.
   * @throws CodedError `digest_mismatch` when the bytes do not hash to `expected`; nothing is kept. What `source` throws, likewise.
   */
  write(source: AsyncIterable<Uint8Array>, expected?: Digest): Promise<BlobInfo>;
  /** The caller owns the reader; a blob that is deleted meanwhile stays readable. @throws CodedError `not_found` */
  open(digest: Digest): Promise<BlobReader>;
  /** Whole, verified content of a small blob (a config, a manifest). @throws CodedError `not_found`, `payload_too_large`, `digest_mismatch` */
  read(digest: Digest, maxBytes?: number): Promise<Buffer>;
  /** undefined when there is none. */
  stat(digest: Digest): Promise<BlobInfo | undefined>;
  list(): AsyncIterable<BlobInfo>;
  /** Idempotent. Nobody may still need it. */
  delete(digest: Digest): Promise<void>;
}
